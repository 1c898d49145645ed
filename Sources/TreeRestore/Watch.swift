internal import Kernel
internal import LinuxABI

/// What every long stage of a restart looks at and reports to: whether the user wants an end, and how far it is.
struct Watch {
    /// SIGHUP, SIGINT, SIGQUIT and SIGTERM undo a restart until the point of no return.
    static let interrupting = [Signal.SIGHUP, Signal.SIGINT, Signal.SIGQUIT, Signal.SIGTERM]
    /// All that are passed on to the root once it runs: until then they wait.
    static let forwarded =
        interrupting + [
            Signal.SIGUSR1, Signal.SIGUSR2, Signal.SIGCONT, Signal.SIGTSTP, Signal.SIGWINCH,
        ]

    private final class Interrupts {
        private let queue: SignalQueue
        private var wereThere = false

        init(_ queue: SignalQueue) { self.queue = queue }

        /// Stays true: taking the signal off its queue must not lose it for those who ask later.
        var areThere: Bool {
            if !wereThere && queue.next(within: 0) != nil { wereThere = true }
            return wereThere
        }
    }

    private let interrupts: Interrupts
    /// For how many nanoseconds no step of the tree may end before the restart is given up; nil: for ever.
    let patience: Int64?
    /// Stage, bytes done, bytes in all.
    let progress: (String, UInt64, UInt64) -> Void

    /// - Parameter takesSignals: false: signals end the command as usual.
    init(takesSignals: Bool, patience: Int64? = nil, progress: @escaping (String, UInt64, UInt64) -> Void) {
        _ = SignalQueue(takesSignals ? Self.forwarded : [])
        interrupts = Interrupts(SignalQueue(takesSignals ? Self.interrupting : []))
        self.patience = patience
        self.progress = progress
    }

    func stage(_ name: String) { progress(name, 0, 0) }

    var isInterrupted: Bool { interrupts.areThere }

    func check() throws(RestoreError) { if isInterrupted { throw .interrupted } }
}
