internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import StepProgram

/// crcheckpoint where it is a process of the tree that it saves: a shell of the tree has started it, for instance.
///
/// It is not stopped, and no process that it makes is. In the image it is a process that has ended with ``status`` and waits
/// for its parent: so the parent that waits for it learns from the status in which of the two trees it is.
enum Checkpointer {
    /// The end that its parent sees after a restart, as exit(3) takes it. In the original it is that of the command.
    static let exitStatus: UInt32 = 75
    /// The same as wait(2) has it.
    static let status = exitStatus << 8

    /// The pid of this process if it is a descendant of `root`; nil: it is outside of the tree, or is the root.
    static func find(below root: Int32) -> Int32? {
        let own = Processes.ownPid
        var known: Set<Int32> = [own]
        var next = (try? ProcessStat(of: own))?.parent ?? 0
        while next > 0, known.insert(next).inserted {
            if next == root { return own }
            next = (try? ProcessStat(of: next))?.parent ?? 0
        }
        return nil
    }

    /// A walk over the tree without the processes below this one. This process itself stays.
    static func withoutOwn(_ entries: [ProcessTree.Entry], _ checkpointer: Int32?) -> [ProcessTree.Entry] {
        guard let checkpointer else { return entries }
        var own: Set<Int32> = [checkpointer]
        return entries.filter { entry in
            if entry.pid == checkpointer { return true }
            if own.contains(entry.stat.parent) { own.insert(entry.pid) }
            return !own.contains(entry.pid)
        }
    }

    /// Whether nothing is left of it once it has ended, because its parent ignores SIGCHLD: the kernel does not wait for that parent then.
    ///
    /// - Source: wait(2); kernel/signal.c, `do_notify_parent`.
    static func isReapedAtOnce(_ zombie: ZombieSight, among processes: [ProcessSight]) -> Bool {
        guard zombie.stat.value.exitSignal == Signal.SIGCHLD, let parent = processes.first(where: { $0.pid.rawValue == zombie.stat.value.parent }) else {
            return false
        }
        return parent.status.value.ignoredSignals & Signal.mask(Signal.SIGCHLD) != 0
    }

    /// The SIGCHLD that its end would send to a parent with these signal masks; nil: that parent gets none, or has one already.
    ///
    /// - Parameter pending: what waits for the parent, as `siginfo_t`.
    /// - Source: sigaction(2), `siginfo_t`; kernel/signal.c, `do_notify_parent`, `sig_ignored`.
    static func endSignal(of zombie: ZombieSight, to parent: ProcessSight, pending: [RawText]) -> RawText? {
        let signal = zombie.stat.value.exitSignal
        guard zombie.endsWith != nil, signal == Signal.SIGCHLD else { return nil }
        let bit = Signal.mask(signal)
        let isBlocked = parent.threads.contains { parent.status(of: $0).blockedSignals & bit != 0 }
        // Its default is to be ignored.
        guard parent.status.value.caughtSignals & bit != 0 || isBlocked && parent.status.value.ignoredSignals & bit == 0 else { return nil }
        if pending.contains(where: { $0.bytes.littleEndian32(at: 0) == UInt32(signal) }) { return nil }
        var info = [UInt8](repeating: 0, count: 128)
        func put(_ value: UInt32, at place: Int) {
            for byte in 0..<4 { info[place + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(byte))) }
        }
        put(UInt32(signal), at: 0)
        put(UInt32(SignalCode.CLD_EXITED), at: 8)
        put(zombie.status.value.namespaceProcessIDs.last ?? UInt32(bitPattern: zombie.pid.rawValue), at: 16)
        put(zombie.status.value.users.first ?? 0, at: 20)
        put(exitStatus, at: 24)
        return RawText(info)
    }
}
