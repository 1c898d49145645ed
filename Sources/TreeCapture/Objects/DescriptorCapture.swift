internal import CheckpointImage
internal import Kernel

/// How one kind of open files gets into an image. A new kind is a file here and a line in ``DescriptorCaptures``.
///
/// What all kinds have (flags, offset, where the descriptors are) is seen and recorded without them.
protocol DescriptorCapture: Sendable {
    /// Whether a file is of this kind, by what is seen of every file. Pure. The first kind of the table that claims a file
    /// has it.
    static func claims(_ sight: OpenFileSight) -> Bool

    /// Looks at what only this kind has, and writes it into `details`. Called once, with all files of this kind, when all
    /// descriptors of the tree are known. The tree stands still, and nothing of it may be changed.
    ///
    /// - Throws: only what makes the checkpoint impossible. What concerns one file is noted by ``OpenFileSight/fail(_:)``.
    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError)

    /// Makes the record. Pure.
    ///
    /// - Parameter id: of the file, in the sight and in the image.
    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured

    /// What can be recorded only when all files have been. Pure.
    static func finish(_ recorder: inout FileRecorder)
}

extension DescriptorCapture {
    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {}
    static func finish(_ recorder: inout FileRecorder) {}
}

/// What becomes of an open file.
enum Captured {
    case object(ImageOpenFile.OneOf_Object)
    /// It cannot be saved: a finding is made of every descriptor that leads to it.
    case refused(String, help: String = "")
    /// It cannot be saved, and the findings have been made.
    case found
}

/// The kinds of open files. The order matters where several claim a file; the last one claims all. Sockets are looked at
/// first: there can be further files in them.
enum DescriptorCaptures {
    static let all: [any DescriptorCapture.Type] = [
        SocketFile.self, EventFile.self, SignalFile.self, TimerFile.self, Epoll.self, InotifyFile.self, PidFile.self,
        QueueFile.self, ProcFile.self, KernelFile.self, NamedFile.self, NamelessFile.self, PipeEnd.self, Fifo.self,
        TerminalEnd.self, Outside.self, External.self, Device.self,
        UnknownFile.self,
    ]

    static func kind(of sight: OpenFileSight) -> any DescriptorCapture.Type {
        all.first { $0.claims(sight) } ?? UnknownFile.self
    }
}
