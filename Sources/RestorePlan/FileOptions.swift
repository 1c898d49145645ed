package import CheckpointImage
internal import LinuxABI

/// The user's options for the files of a tree: what is done about those that are not as they were, and where they are now.
package struct FileOptions: Sendable, Equatable {
    package enum Changed: String, CaseIterable, Sendable {
        /// A mapped program file that changed and a file that is shorter are findings; one that grew is told.
        case refuse
        /// What is there is taken, and told.
        case accept
        /// Like `refuse`, but a file that grew, and that a program writes to, is cut to its length at the checkpoint.
        case rollback
    }

    package var changed = Changed.refuse
    package var moves = PathMoves()

    package init() {}
}

/// The option `--path OLD=NEW`: what was at OLD, or below it, is at NEW now.
package struct PathMove: Equatable, Sendable {
    package var old: [UInt8]
    package var new: [UInt8]

    /// Nil where the bytes are not of that form: both paths are absolute, without `.`, `..` and empty components.
    package init?(_ bytes: [UInt8]) {
        let slash = UInt8(ascii: "/")
        // An absolute path follows, so a name may contain the sign.
        guard
            let sign = bytes.indices.dropLast().first(where: { bytes[$0] == UInt8(ascii: "=") && bytes[$0 + 1] == slash }),
            let old = Self.plain(Array(bytes[..<sign])), let new = Self.plain(Array(bytes[(sign + 1)...]))
        else { return nil }
        (self.old, self.new) = (old, new)
    }

    /// A path without slashes at its end; nil where it is not absolute or has components such as `..`.
    package static func plain(_ path: [UInt8]) -> [UInt8]? {
        let slash = UInt8(ascii: "/")
        guard path.first == slash, !path.contains(0) else { return nil }
        let parts = path.split(separator: slash).map { Array($0) }
        if parts.contains(where: { $0 == [46] || $0 == [46, 46] }) { return nil }
        return parts.isEmpty ? [slash] : parts.flatMap { [slash] + $0 }
    }
}

/// Where the files of an image are on this host. Pure: an image in, an image with other paths out.
package struct PathMoves: Sendable, Equatable {
    private static let slash = UInt8(ascii: "/")
    /// File systems of the kernel: they are everywhere, and nobody copies them.
    private static let kernels = ["/dev", "/proc", "/sys"].map { Array($0.utf8) }

    package var moves: [PathMove] = []
    /// All other paths are below this one. Nil: where they were.
    package var root: [UInt8]?

    package init() {}

    package var isEmpty: Bool { moves.isEmpty && root == nil }

    /// The longest OLD that fits, by whole components; else below the root.
    func moved(_ path: [UInt8]) -> [UInt8] {
        let fitting = moves.filter { Self.isBelow(path, $0.old) }.max { $0.old.count < $1.old.count }
        if let fitting {
            let rest = fitting.old == [Self.slash] ? Array(path) : Array(path.dropFirst(fitting.old.count))
            return Self.joined(fitting.new, rest)
        }
        guard let root, !Self.kernels.contains(where: { Self.isBelow(path, $0) }) else { return path }
        return Self.joined(root, path)
    }

    /// The path in the image of what is at `path` here.
    func original(_ path: [UInt8]) -> [UInt8] {
        for move in moves where Self.isBelow(path, move.new) {
            let old = Self.joined(move.old, move.new == [Self.slash] ? path : Array(path.dropFirst(move.new.count)))
            if moved(old) == path { return old }
        }
        if let root, Self.isBelow(path, root) {
            let old = path == root ? [Self.slash] : Array(path.dropFirst(root.count))
            if moved(old) == path { return old }
        }
        return path
    }

    private static func isBelow(_ path: [UInt8], _ folder: [UInt8]) -> Bool {
        folder == [slash] || path == folder || path.starts(with: folder + [slash])
    }

    private static func joined(_ folder: [UInt8], _ rest: [UInt8]) -> [UInt8] {
        if rest.isEmpty || rest == [slash] { return folder }
        return (folder == [slash] ? [] : folder) + rest
    }

    /// The image with the paths of this host, of all files that are opened by name: open files, mapped files, programs,
    /// working and root directories.
    package func applied(to image: CheckpointImage) throws(ImageError) -> CheckpointImage {
        if isEmpty { return image }
        func move(_ identity: inout ImageFileIdentity) {
            if identity.path.isEmpty { return }
            identity.path = moved(identity.path.asBytes).asData
        }
        return try image.changed { records in
            for index in records.processes.indices where records.processes[index].hasExecutable { move(&records.processes[index].executable) }
            for index in records.addressSpaces.indices {
                for place in records.addressSpaces[index].mappings.indices where records.addressSpaces[index].mappings[place].hasFile {
                    move(&records.addressSpaces[index].mappings[place].file)
                }
            }
            for index in records.directories.indices {
                move(&records.directories[index].working)
                move(&records.directories[index].root)
            }
            for index in records.openFiles.indices {
                switch records.openFiles[index].object {
                case .named(var file)?:
                    move(&file.identity)
                    records.openFiles[index].object = .named(file)
                case .device(var device)?:
                    move(&device.identity)
                    records.openFiles[index].object = .device(device)
                default: break
                }
            }
        }
    }
}
