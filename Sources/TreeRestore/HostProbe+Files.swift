internal import CheckpointImage
internal import Kernel
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
    private static func wantedAccess(to image: CheckpointImage) -> [String: FileAccess] {
        var wanted: [String: FileAccess] = [:]
        func want(_ path: String, _ access: FileAccess) { wanted[path, default: []].formUnion(access) }
        for process in image.processes where process.state != .zombie {
            want(process.executable.path.asText, [.read, .execute])
            want(process.workingDirectory.asText, .execute)
            want(process.rootDirectory.asText, .execute)
        }
        for thread in image.threads where thread.hasOwnDirectories { want(thread.ownDirectories.workingDirectory.asText, .execute) }
        let mayWrite = UInt64(1) << UInt64(ImageMappingFlag.mayWrite.rawValue)
        for space in image.addressSpaces {
            for mapping in space.mappings where mapping.kind == .file {
                want(mapping.file.path.asText, mapping.shared && mapping.flags & mayWrite != 0 ? [.read, .write] : .read)
            }
        }
        for file in image.openFiles where file.kind == .path {
            // O_PATH opens without a right to anything; O_ACCMODE 3 (for ioctl only) asks for both.
            let isPathOnly = file.flags & 0o10000000 != 0
            let modes: [FileAccess] = [.read, .write, [.read, .write], [.read, .write]]
            want(file.identity.path.asText, isPathOnly ? [] : modes[Int(file.flags & 3)])
        }
        return wanted
    }
}
