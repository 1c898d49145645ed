internal import FoundationEssentials

extension ImageLookup {
    func validate(_ table: ImageFileTable) throws(ImageError) {
        let subject = { "file table \(table.id)" }
        var next: UInt32 = 0
        for descriptor in table.descriptors {
            try require(descriptor.number < ImageLimits.descriptors, .descriptorRange, subject())
            try require(descriptor.number >= next, .descriptorOrder, subject())
            next = descriptor.number + 1
            try require(
                openFile[descriptor.file] != nil, .noOpenFile, "fd \(descriptor.number) of \(subject())")
        }
    }

    func validate(_ file: ImageOpenFile) throws(ImageError) {
        let subject = { "open file \(file.id)" }
        try require(file.offset >= 0, .fileOffset, subject())
        switch file.kind {
        case .path: try requirePath(file.identity.path, subject())
        case .pipeEnd: try require(pipe[file.pipe] != nil, .noPipe, subject())
        case .object: try require(memoryObject[file.object] != nil, .noMemoryObject, subject())
        case .outside: try require(file.preferred <= 2, .preferred, subject())
        case .event: try validate(file.event, subject())
        case .signal: break
        case .timer: try validate(file.timer, subject())
        case .epoll: try validate(file.epoll, of: file.id, subject())
        case .UNRECOGNIZED: throw .rule(.fileKind, subject())
        }
    }

    func validate(_ pipe: ImagePipe) throws(ImageError) {
        let subject = { "pipe \(pipe.id)" }
        try require((4096...1 << 31).contains(pipe.capacity), .pipeCapacity, subject())
        let count = pipe.contents.reduce(0) { $0 + $1.count }
        try require(count <= Int(pipe.capacity), .pipeContents, subject())
    }

    /// Absolute, without a zero byte.
    func requirePath(_ path: Data, _ subject: @autoclosure () -> String) throws(ImageError) {
        try require(!path.isEmpty, .pathMissing, subject())
        try require(path.first == UInt8(ascii: "/"), .pathRelative, subject())
        try require(!path.contains(0), .pathWithZero, subject())
    }

    /// At most 15 bytes, as the kernel keeps it.
    func isCommandName(_ name: Data) -> Bool { name.count <= 15 && !name.contains(0) }
}
