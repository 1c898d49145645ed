internal import Kernel
internal import LinuxABI

/// Ends or stops a tree after its image is committed: all of it, or it says who lives.
///
/// It holds every process by descriptor since the tree was stopped, so no signal can reach a stranger.
final class TreeEnder {
    private let root: Int32
    private let handles: ProcessHandles
    private var all: [Int] { Array(handles.pids.indices) }

    /// Nanoseconds after the end of a process within which the next one has to end.
    private static let patience: Int64 = 30_000_000_000
    /// Nanoseconds: what a quick init takes.
    private static let reapingPatience: Int64 = 5_000_000

    /// - Preconditions: the tree stands still.
    /// - Throws: where a process may not be signalled, before anything is written.
    init(_ tree: borrowing FrozenTree) throws(CaptureError) {
        root = tree.root
        Processes.raiseDescriptorLimit()
        do throws(SystemError) { handles = try ProcessHandles(tree.processes) } catch {
            let help =
                error.number == Errno.EMFILE
                ? "ending it takes a descriptor for each of its \(tree.processes.count) processes: raise ulimit -Hn" : error.call
            throw CaptureError(cannot: "end or stop the tree of \(root)", error, help: help)
        }
        for position in all { try send(0, to: position) }
    }

    private func send(_ signal: Int32, to position: Int) throws(CaptureError) {
        do throws(SystemError) { try handles.send(signal, to: position) } catch {
            if error.isGone { return }
            throw CaptureError(
                cannot: "end or stop \(Self.name(handles.pids[position]))", error,
                help: error.number == Errno.EPERM ? "it belongs to another user: be root or that user, or have CAP_KILL" : error.call)
        }
    }

    func stop() throws(CaptureError) { for position in all { try send(Signal.SIGSTOP, to: position) } }

    /// Ends all of the tree, whatever dies meanwhile, and so that no task makes another step: a file that it changed then would be
    /// ahead of the image.
    ///
    /// 1. A guardian is born, a process of its own. It waits.
    /// 2. It is told that the end has begun. If this process dies from here on, it ends what is left.
    /// 3. The kernel is told to end each process together with this one (PTRACE_O_EXITKILL). Only if this process dies in the middle of
    ///    that, the processes that come later go on until the guardian has come to them.
    /// 4. The guardian kills. What it leaves, ``awaitEnd(image:)`` ends.
    ///
    /// - Parameters:
    ///   - connections: of the tree. They end without a packet: their peers are to find them again.
    ///   - fence: the lock of the tree's connections, which stays from here on.
    func kill(_ tree: borrowing FrozenTree, silencing connections: [TCPSocket.Place] = [], keeping fence: ConnectionFence?) {
        let kept = handles.numbers + connections.lazy.filter(\.isOurs).map(\.number) + (fence?.numbers ?? [])
        let orders = try? DescriptorTable.pipe()
        let guardian = orders.flatMap { orders in try? StayingProcess.start("crguardian", at: .forkGuardian, keeping: kept + [orders.read]) }
        if guardian == 0, let orders {
            guard Channel.awaitByte(orders.read) else { Processes.exitNow(0) }
            // Until the other end is closed: all is prepared, or its process is gone.
            while Channel.awaitByte(orders.read) {}
            killAll(connections, fence)
            Processes.exitNow(0)
        }
        if let orders {
            DescriptorTable.close(orders.read)
            Channel.send([1], over: orders.write)
        }
        // Before any process ends: what its connections send then must not get out.
        fence?.keep()
        tree.endWithTracer()
        if let orders { DescriptorTable.close(orders.write) }
        guard let guardian else { return killAll(connections, fence) }
        while (try? Waiting.wait(guardian, block: true)) == nil {}
    }

    /// The processes are ended before their connections are put into repair mode, in which every call on them fails: none of them can run
    /// and see that, if the process that stopped them dies meanwhile. Descriptors of ours keep the connections until then.
    private func killAll(_ connections: [TCPSocket.Place], _ fence: ConnectionFence?) {
        fence?.keep()
        let ours = Set(connections.lazy.filter(\.isOurs).map(\.number))
        var held: [Int32] = []
        func silence() {
            // Repair mode belongs to the connection, not to the descriptor.
            for number in held {
                try? TCPStreamState.silence(number)
                if !ours.contains(number) { DescriptorTable.close(number) }
            }
            held = []
        }
        for place in connections {
            if let number = place.hold() {
                held.append(number)
                continue
            }
            // No more descriptors: those so far are silent before.
            silence()
            if let number = place.hold() { held.append(number) }
        }
        killAgain(all)
        silence()
    }

    private func killAgain(_ positions: [Int]) { for position in positions { try? handles.send(Signal.SIGKILL, to: position) } }

    /// Waits until every process has been seen to end, and then for a moment until their numbers are free: their new parent (init, a
    /// subreaper) frees them at a time of its own, and a restart that wants them waits for that. The root's is freed by its parent.
    ///
    /// - Preconditions: nothing of the tree is held any more.
    func awaitEnd(image: String) throws(CaptureError) {
        var left = all
        var deadline = SystemClock.monotonic.now() + Self.patience
        var rounds = 0
        while true {
            while let found = try? Waiting.wait(block: false) { _ = found }
            let now = handles.living(among: left, waiting: 2)
            if now.isEmpty { break }
            if now.count < left.count { deadline = SystemClock.monotonic.now() + Self.patience }
            left = now
            rounds += 1
            if rounds % 32 == 0 { killAgain(left) }
            if SystemClock.monotonic.now() < deadline { continue }
            let names = left.prefix(5).map { Self.name(handles.pids[$0]) }.joined(separator: ", ")
            throw CaptureError(
                "cannot end \(names)\(left.count > 5 ? " and \(left.count - 5) more" : ""): ETIMEDOUT (not gone \(Self.patience / 1_000_000_000) s after SIGKILL; image \(image) is complete: restart it when they have ended)")
        }
        awaitReaping()
    }

    private func awaitReaping() {
        let end = SystemClock.monotonic.now() + Self.reapingPatience
        // One after the other: while one is there it does not matter whether others are.
        var left = handles.pids.filter { $0 != root }
        while true {
            while let last = left.last, !Processes.exists(last) { left.removeLast() }
            if left.isEmpty || SystemClock.monotonic.now() > end { return }
            Waiting.pause(atMost: 1_000_000)
            while let found = try? Waiting.wait(block: false) { _ = found }
        }
    }

    private static func name(_ pid: Int32) -> String {
        guard let stat = try? ProcessStat(of: pid) else { return "\(pid)" }
        return "\(pid) \(printable(stat.comm)) (state \(UnicodeScalar(stat.state)))"
    }
}
