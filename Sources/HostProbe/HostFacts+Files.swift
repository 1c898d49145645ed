internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

extension HostFacts {
    /// The files that the tree needs: as they are here, and whether they can be opened as they were.
    mutating func probeFiles(of image: CheckpointImage) {
        for (path, access) in Self.wantedAccess(to: image) {
            do throws(SystemError) {
                let status = try FileStatus(of: path)
                if let refusal = access.refusal(of: path) { throw refusal }
                let buildID = status.kind == .regular ? (try? BuildID.read(from: path)) ?? nil : nil
                files[path] = .success(
                    File(
                        size: UInt64(max(0, status.size)), modified: status.modificationTime, mode: status.mode,
                        buildID: buildID ?? []))
            } catch {
                files[path] = .failure(MissingFile(errno: error.name))
            }
        }
    }

    /// Tasks open files before they take their own credentials: as the user of crrestart.
    private static func wantedAccess(to image: CheckpointImage) -> [[UInt8]: FileAccess] {
        var wanted: [[UInt8]: FileAccess] = [:]
        func want(_ file: ImageFileIdentity, _ access: FileAccess) { wanted[file.path.asBytes, default: []].formUnion(access) }
        for process in image.processes where process.state != .zombie { want(process.executable, [.read, .execute]) }
        for directories in image.directories {
            want(directories.working, .execute)
            want(directories.root, .execute)
        }
        let mayWrite = UInt64(1) << UInt64(ImageMappingFlag.mayWrite.rawValue)
        for space in image.addressSpaces {
            for mapping in space.mappings where mapping.kind == .file {
                want(mapping.file, mapping.shared && mapping.flags & mayWrite != 0 ? [.read, .write] : .read)
            }
        }
        for file in image.openFiles {
            guard let identity = file.saved?.namedFile else { continue }
            // O_PATH opens without a right to anything; O_ACCMODE 3 (for ioctl only) asks for both.
            let modes: [FileAccess] = [.read, .write, [.read, .write], [.read, .write]]
            want(identity, file.flags & OpenFlag.O_PATH != 0 ? [] : modes[Int(file.flags & OpenFlag.O_ACCMODE)])
        }
        return wanted
    }
}
