internal import Kernel
internal import LinuxABI

/// How long a tree may stand still, and whether a signal has asked the checkpoint to end.
///
/// Every wait of a checkpoint looks at it. Where that cannot be, because a call does not come back (a file system served by
/// a stopped task, a pipe whose reader is stopped), a thread of its own ends crcheckpoint a moment after the deadline
/// (``EndWatch``): the kernel lets every task go on, and the image has no name yet.
final class StopWatch {
    let timeout: Int64
    private(set) var deadline: Int64?
    private let root: Int32
    private let words: (CaptureError) -> [UInt8]
    private var stage = ""
    private var isActive = false

    /// Nanoseconds that the thread that works has to end by itself, at the deadline and after a signal.
    private static let grace: Int64 = 500_000_000

    /// - Parameter words: how an error is printed.
    init(root: Int32, timeout: Int64, words: @escaping (CaptureError) -> [UInt8]) {
        self.root = root
        self.timeout = timeout
        self.words = words
    }

    /// Blocks signals, and begins to heed them.
    func begin() throws(CaptureError) {
        do throws(SystemError) { try EndWatch.begin() } catch {
            throw CaptureError(cannot: "watch the time", error, help: "")
        }
        isActive = true
        tell("begin")
        EndWatch.setGrace(Self.grace)
    }

    /// From now on more and more of the tree stands still.
    func treeStops() { progressed() }

    /// What is done now.
    func tell(_ stage: String) {
        self.stage = stage
        guard isActive else { return }
        EndWatch.setWords(atDeadline: words(late), interrupted: words(interrupted(EndWatch.signal)))
    }

    /// Something has come forward that takes as long as it is large: its time begins anew.
    func progressed() {
        let deadline = SystemClock.monotonic.now() &+ timeout
        self.deadline = deadline
        if isActive { EndWatch.limit(deadline &+ Self.grace, status: late.exitStatus) }
    }

    /// Time does not matter any more: the tree goes on, or the image is complete.
    func withoutLimit() {
        deadline = nil
        if isActive { EndWatch.limit(nil, status: 1) }
    }

    /// From here on nothing ends this process halfway: the image has its name, the tree is being ended.
    func end() {
        withoutLimit()
        if isActive { EndWatch.setGrace(0) }
        isActive = false
    }

    /// - Throws: if the time is over, or a signal has asked for the end.
    func check() throws(CaptureError) {
        if let interruption = interruption() { throw interruption }
        if let deadline, SystemClock.monotonic.now() > deadline { throw late }
    }

    func interruption() -> CaptureError? {
        guard isActive, let signal = EndWatch.signal else { return nil }
        return interrupted(signal)
    }

    private var late: CaptureError {
        CaptureError(
            "cannot checkpoint the tree of \(root): ETIMEDOUT (stage \(stage) did not come forward for \(timeout / 1_000_000) ms; does a task of the tree serve a file system that the tree uses, or read the image? --freeze-timeout gives it longer)")
    }

    private func interrupted(_ signal: Int32?) -> CaptureError {
        let name =
            switch signal {
            case Signal.SIGHUP: "SIGHUP"
            case Signal.SIGINT: "SIGINT"
            case Signal.SIGQUIT: "SIGQUIT"
            case Signal.SIGTERM: "SIGTERM"
            default: "a signal"
            }
        return CaptureError("cannot checkpoint the tree of \(root): EINTR (\(name) came; the tree goes on, and there is no image)")
    }
}
