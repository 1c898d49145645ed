internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// FIFOs (named pipes): found again by name. Details are those of ``PipeEnd``, and `ended`, where a reader is told that the writers
/// have gone; `fifoHolder`, a process outside of the tree that has it open.
enum Fifo: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool {
        sight.status.kind == .pipe && sight.target.bytes.first == UInt8(ascii: "/") && !sight.isPathOnly
    }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        PipeEnd.look(&sights, after: Set(tree.sight.files.filter { PipeEnd.claims($0) }.map { TreeLook.FileKey($0.status) }).count, &tree)
    }

    /// Each reader is told of the end by itself.
    static func noteEnd(_ sight: inout OpenFileSight) throws(SystemError) {
        let look = try PipeLook(of: sight.holder.rawValue, descriptor: sight.number, access: PipeEnd.access(sight))
        if !look.hasWriter { sight.details["ended"] = "1" }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        guard let identity = recorder.identity(of: sight) else { return NamedFile.lost(sight, recorder) }
        let name = sight.target.shown
        if let holder = sight.details["fifoHolder"] {
            if sight.isRemoved {
                return .refused(
                    "is the FIFO \(name), which has no name any more, and \(holder.shown) outside of the tree has it, too",
                    help: "checkpoint a tree that holds both ends")
            }
            if sight.details["packet0"] != nil {
                return .refused(
                    "is the FIFO \(name) with something in it, which \(holder.shown) outside of the tree can read, too",
                    help: "try again when it has been read, or checkpoint a tree that holds both ends")
            }
            recorder.notice("the FIFO \(name) is open in \(holder.shown), which is outside of the tree: a restart opens it again by name")
        }
        PipeEnd.recordPipe(sight, id, &recorder)
        var object = ImageFifoEnd()
        object.pipe = UInt32(truncatingIfNeeded: sight[number: "pipe"] ?? 0)
        object.identity = identity
        object.identity.removed = sight.isRemoved
        object.hungUp = sight.details["ended"] != nil
        return .object(.fifo(object))
    }
}
