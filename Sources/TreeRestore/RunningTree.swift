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
    /// Bytes of pages that were to come while it runs.
    package let lateBytes: UInt64
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
    private let terminal: (any TreeTerminal)?
    private let beginsStopped: Bool

    /// - Parameters:
    ///   - beginAnew: threads whose calls begin with their whole timeout again.
    ///   - cuts: what is to be said about files that were cut.
    init(_ tree: borrowing ForkedTree, _ release: ReleaseInstant, kept: [KeptNumber], beginAnew: [UInt32], cuts: [String], _ terminal: (any TreeTerminal)?) {
        let image = tree.plan.valid.image
        rootPid = tree.hostPids[0]
        tasks = tree.plan.tasks.count
        processes = image.processes.count
        lateBytes = tree.plan.lateBytes
        notices = cuts + beginAnew.map { "thread \($0) begins its call anew with its whole timeout: too many threads wait that way" }
        stopped = tree.plan.valid.time.stopped
        released = release.instant
        renumbering = tree.plan.renumbering
        self.kept = kept
        sharesProcessGroup = image.root.group == image.header.outsideGroup
        channels = tree.channels
        self.terminal = terminal
        beginsStopped = image.root.state == .stopped
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
        let signals = (try? queue.descriptor())?.release() ?? -1
        defer { DescriptorTable.close(signals) }
        terminal?.begin()
        defer { terminal?.ended() }
        if beginsStopped { stopLikeTree() }
        while true {
            if let message = Channel.poll(status) {
                guard message.count >= 4 else { return nil }
                for word in message.words {
                    let seen = WaitStatus(raw: word)
                    guard case .stopped = seen else { return seen }
                    stopLikeTree()
                }
            }
            if let relay = terminal as? RelayedTerminal { relay.copy(until: [signals, status]) }
            guard let found = queue.next(within: terminal is RelayedTerminal ? 0 : 60_000_000_000) else { continue }
            switch found.signal {
            case Signal.SIGCHLD: while (try? Waiting.wait(block: false)) != nil {}
            case Signal.SIGIO: break
            case Signal.SIGWINCH where terminal is RelayedTerminal: terminal?.resized()
            default:
                let isKnown = found.sender == 0 && sharesProcessGroup
                if found.signal == Signal.SIGCONT { terminal?.continued() }
                if !isKnown { try? root?.send(found.signal) }
                // Ctrl-Z: the root first, then the command that stands for it; SIGCONT comes the same way.
                if found.signal == Signal.SIGTSTP { stopHere() }
            }
        }
    }

    /// The tree has stopped in the hands of its user: the command that stands for it stops, too, and the shell takes over.
    private borrowing func stopLikeTree() {
        guard terminal is LentTerminal, let state = (try? ProcessStat(of: rootPid))?.state, state == UInt8(ascii: "T") else { return }
        stopHere()
    }

    private borrowing func stopHere() {
        terminal?.stopped()
        Processes.stopHere()
        terminal?.continued()
    }
}

extension [UInt8] {
    /// Numbers of four bytes each.
    fileprivate var words: [Int32] {
        stride(from: 0, to: count - count % 4, by: 4).map { at in
            Int32(bitPattern: (0..<4).reduce(0) { $0 | UInt32(self[at + $1]) << (UInt32($1) * 8) })
        }
    }
}
