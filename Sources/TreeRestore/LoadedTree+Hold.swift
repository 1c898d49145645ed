internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

extension LoadedTree {
    /// Nanoseconds without a line after which the other side counts as gone: it asks more often than that.
    private static let patience: Int64 = 30_000_000_000

    /// Says that the tree is here, and waits for the order that lets it run.
    ///
    /// Every page has been read and compared with its checksum by now, and every process exists. Threads are made afterwards:
    /// what fails from then on is told as `failed`, and nothing is left.
    ///
    /// - Parameter isGoing: called when the order has come, with the root's number here.
    /// - If this process dies meanwhile: nothing is left of the tree.
    mutating func hold(
        _ channel: HoldChannel, _ isGoing: (Int32) throws(SystemError) -> Void, _ watch: Watch
    ) throws(RestoreError) {
        let parked = "\(HoldWords.Target.parked) \(tree.plan.processCount)"
        channel.tell(parked)
        var silentSince = SystemClock.monotonic.now()
        while true {
            let word = channel.next(within: 100_000_000) { watch.isInterrupted }
            // A task that ends meanwhile is a failure.
            try tree.drain()
            switch word {
            case .line(HoldWords.TargetOrder.go):
                do throws(SystemError) { try isGoing(tree.hostPids[0]) } catch {
                    throw RestoreError(cannot: "write the outcome before the tree runs", error)
                }
                return
            case .line(HoldWords.TargetOrder.ask): channel.tell(parked)
            case .line(HoldWords.TargetOrder.abort):
                throw RestoreError("not restarted: ECANCELED (abort was said over --hold; nothing is left)")
            case .line(let other): channel.tell("\(HoldWords.unknown) \(printable(Array(other.utf8)))")
            case .closed:
                throw RestoreError("cannot restart: EPIPE (the process at the other end of --hold is gone and has given no order; nothing is left)")
            case .interrupted: throw .interrupted
            case .silent:
                if SystemClock.monotonic.now() - silentSince < Self.patience { continue }
                throw RestoreError(
                    "cannot restart: ETIMEDOUT (no line came over --hold for \(Self.patience / 1_000_000_000) s: the connection seems to be cut; nothing is left)")
            }
            silentSince = SystemClock.monotonic.now()
        }
    }
}
