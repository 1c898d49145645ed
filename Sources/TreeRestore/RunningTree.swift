internal import CheckpointImage
package import Kernel
internal import LinuxABI
package import RestorePlan

/// A tree that has been released. It runs on whatever becomes of this value; only its root's status is lost with it.
package struct RunningTree: ~Copyable {
    /// As seen from here.
    package let rootPid: Int32
    package let tasks: Int
    package let processes: Int
    /// What the restart took.
    package fileprivate(set) var nanoseconds: Int64 = 0
    package fileprivate(set) var notices: [String]
    /// When the tree was stopped, on the clocks of the host it was on, and when it was let go, on ours.
    package let stopped: TimePlan.Instant
    package let released: TimePlan.Instant
    /// Old and new numbers, where the tree got new ones.
    package let renumbering: Renumbering?
    /// Old numbers that are known to be in the memory of its tasks still.
    package let kept: [KeptNumber]
    /// The tree is in our process group: what the terminal sends reaches it by itself.
    private let sharesProcessGroup: Bool
    private let channels: MonitorChannels

    /// - Parameters:
    ///   - beginAnew: threads whose calls begin with their whole timeout again.
    ///   - cuts: what is to be said about files that were cut.
    init(_ tree: borrowing ForkedTree, _ release: ReleaseInstant, kept: [KeptNumber], beginAnew: [UInt32], cuts: [String]) {
        let image = tree.plan.valid.image
        rootPid = tree.hostPids[0]
        tasks = tree.plan.tasks.count
        processes = image.processes.count
        notices = cuts + beginAnew.map { "thread \($0) begins its call anew with its whole timeout: too many threads wait that way" }
        stopped = tree.plan.valid.time.stopped
        released = release.instant
        renumbering = tree.plan.renumbering
        self.kept = kept
        sharesProcessGroup = image.root.group == image.header.outsideGroup
        channels = tree.channels
    }

    /// What the plan has to say comes before what the release brought.
    mutating func note(_ planned: [String], since begin: Int64) {
        notices = planned + notices
        nanoseconds = SystemClock.monotonic.now() - begin
    }

    /// Waits for the root, passing signals on. Nil: its status was not told.
    package borrowing func wait() -> WaitStatus? {
        // Blocked before anything can send it: SIGIO says that the root's status is there.
        let queue = SignalQueue(Watch.forwarded + [Signal.SIGCHLD, Signal.SIGIO])
        let root = try? ProcessHandle(rootPid)
        let status = channels.status.number
        Channel.announce(status)
        while true {
            if let message = Channel.poll(status) {
                guard message.count == 4 else { return nil }
                let raw = message.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                return WaitStatus(raw: Int32(bitPattern: raw))
            }
            guard let found = queue.next(within: 60_000_000_000) else { continue }
            switch found.signal {
            case Signal.SIGCHLD: while (try? Waiting.wait(block: false)) != nil {}
            case Signal.SIGIO: break
            default:
                let isKnown = found.sender == 0 && sharesProcessGroup
                if !isKnown { try? root?.send(found.signal) }
                // Ctrl-Z: the root first, then the command that stands for it; SIGCONT comes the same way.
                if found.signal == Signal.SIGTSTP { Processes.stopHere() }
            }
        }
    }
}
