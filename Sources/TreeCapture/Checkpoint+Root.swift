internal import Kernel
internal import LinuxABI

extension Checkpoint {
    /// The kernel gives that of the host this number.
    ///
    /// - Source: linux/proc_ns.h, `PROC_PID_INIT_INO`.
    private static let firstPidNamespace = Array("pid:[4026531836]".utf8)

    /// Refuses a tree whose root has ended while the tree was being stopped: there is nothing left to go on.
    func requireRoot(_ tree: borrowing FrozenTree) throws(CaptureError) {
        let root = tree.root
        if tree.processes.contains(root) && tree.tasks.values.contains(where: { $0.process == root }) { return }
        throw CaptureError("cannot checkpoint \(root): ESRCH (it ended meanwhile)")
    }

    /// Refuses a root that cannot be checkpointed, each for its own reason.
    func checkRoot() throws(CaptureError) {
        let root = options.root
        func refuse(_ reason: String) -> CaptureError { CaptureError("cannot checkpoint \(root): \(reason)") }
        guard root > 0 else { throw refuse("ESRCH (a pid is a positive number)") }
        let stat: ProcessStat
        do throws(SystemError) { stat = try ProcessStat(of: root) } catch {
            throw refuse("ESRCH (there is no such process; ps lists those that are)")
        }
        let named = "\(root) \(printable(stat.comm))"
        if stat.isKernelThread { throw CaptureError("cannot checkpoint \(named): EINVAL (it is a kernel thread)") }
        if let status = try? TaskStatus(of: root), status.processID != root {
            throw CaptureError("cannot checkpoint \(named): EINVAL (it is a thread of \(status.processID): name that)")
        }
        if stat.isZombie && stat.threadCount <= 1 { throw CaptureError("cannot checkpoint \(named): ESRCH (it has ended and waits for its parent)") }
        if options.afterwards != .goOn, let status = try? TaskStatus(of: root), let own = try? TaskStatus(of: Processes.ownPid),
            status.namespaceProcessIDs.last == 1, status.namespaceProcessIDs.count == own.namespaceProcessIDs.count
        {
            throw CaptureError(
                "cannot end or stop \(named): EPERM (it is the init of the pid namespace that crcheckpoint runs in: start crcheckpoint outside)")
        }
        // Everything on the host would be stopped, programs that crcheckpoint needs among it.
        if root == 1, (try? readLink("/proc/self/ns/pid")) == Self.firstPidNamespace {
            throw CaptureError("cannot checkpoint \(named): EINVAL (it is the init of this host, and its tree is the whole host: name a process below it)")
        }
        if root == Processes.ownPid {
            throw CaptureError("cannot checkpoint \(named): EINVAL (it is crcheckpoint itself: name the process that has started it)")
        }
        if Capabilities.currentEffective & 1 << Capability.CAP_SYS_PTRACE == 0, let status = try? TaskStatus(of: root),
            let own = try? TaskStatus(of: Processes.ownPid), status.users.first != own.users.first
        {
            throw CaptureError("cannot checkpoint \(named): EPERM (it belongs to uid \(status.users.first ?? 0); be that user, or have CAP_SYS_PTRACE)")
        }
        try checkInside(named)
    }
}
