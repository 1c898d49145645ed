package import CheckpointImage
internal import LinuxABI

/// A file that a program writes to, and that grew since the checkpoint: it is cut to its length at the checkpoint
/// (`--files rollback`), and what is cut off is kept beside it.
package struct FileCut: Sendable, Equatable {
    package var path: [UInt8]
    /// As it is here.
    package var device: UInt64
    package var inode: UInt64
    /// Its length at the checkpoint, in bytes.
    package var size: UInt64
    /// What tells that its contents up to there are those of the checkpoint.
    package var contents: ImageFileEnds
    /// Of the task that has it open. With them the file is made that keeps what is cut off.
    package var rights: FileRights
    /// The file itself is opened with the rights of crrestart: it is that of the checkpoint.
    package var isIdentified: Bool

    /// A name beside the file that can be given to what is cut off.
    ///
    /// - Parameter attempt: counted from 0.
    package func keptPath(_ attempt: Int) -> [UInt8] {
        let folder = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
        // A name has 255 bytes at most.
        let name = path[folder...].prefix(220)
        return Array(path[..<folder]) + name + Array((attempt == 0 ? ".after-checkpoint" : ".after-checkpoint.\(attempt)").utf8)
    }

    /// The files of an image that are cut on this host. Finds those of which nothing tells that they only grew.
    static func all(of image: CheckpointImage, _ facts: HostFacts, _ findings: inout HostFindings) -> [FileCut] {
        let host = ObjectHost(image: image, facts: facts, holders: FileHolders(image, facts))
        var cuts: [[UInt8]: FileCut] = [:]
        for file in image.openFiles where FileRequest.access(file.flags).contains(.write) {
            guard case .named(let named)? = file.object, named.identity.mode & FileMode.S_IFMT == FileMode.S_IFREG else { continue }
            let identity = named.identity
            let path = identity.path.asBytes
            guard case .success(let here)? = facts.files[path], here.size > identity.size, cuts[path] == nil else { continue }
            let other = "or --files accept lets \(host.place(of: file)) go on with it"
            guard named.hasContents else {
                findings.find(
                    path.asData.asText, "has grown since the checkpoint, and the image does not tell what was in it: it is not cut",
                    help: "cut it by hand: truncate -s \(identity.size), \(other)")
                continue
            }
            guard here.ends == named.contents else {
                findings.find(
                    path.asData.asText,
                    "has grown since the checkpoint, and its first \(identity.size) bytes are not those of the checkpoint: it is not cut",
                    help: "put the old file back, \(other)")
                continue
            }
            let request = host.holders.request(file, identity)
            cuts[path] = FileCut(
                path: path, device: here.device, inode: here.inode, size: identity.size, contents: named.contents, rights: request.rights,
                isIdentified: facts.door(request) == .asIdentified)
        }
        return cuts.values.sorted { $0.path.lexicographicallyPrecedes($1.path) }
    }
}
