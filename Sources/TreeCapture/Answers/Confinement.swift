internal import Kernel

/// Whether Landlock confines tasks: it must not be lost, and what it forbids cannot be read.
///
/// With CAP_BPF the kernel's memory tells (``ThreadSight/isInDomain``). Without it each thread is asked whether it may look
/// at crcheckpoint: two tasks of one user, of which the other one has no more capabilities, may look at each other unless
/// a security module says no, and a task in a domain may not look at one outside of it.
///
/// - Source: landlock(7), "Ptrace restrictions"; `__ptrace_may_access` in kernel/ptrace.c; get_robust_list(2) asks for that.
struct Confinement {
    private let sight: TreeSight
    private let own = try? TaskStatus(of: Processes.ownPid)
    private let isEnabled = Landlock.isEnabled

    static let refusal = Refusal(
        "is confined by Landlock, whose rules cannot be read", help: "run it without them, e.g. by an option of the program that switches its sandbox off")

    init(_ sight: TreeSight) { self.sight = sight }

    /// crcheckpoint's number, where that question has a meaning for a thread and was not answered already.
    func watcher(of process: ProcessSight, _ tid: HostPid) -> Int32? {
        guard isEnabled, let own, let thread = process.threads.first(where: { $0.tid == tid }), thread.isInDomain == nil else { return nil }
        let status = process.status(of: thread)
        guard own.users.prefix(3).allSatisfy({ $0 == status.users.first }), own.groups.prefix(3).allSatisfy({ $0 == status.groups.first }),
            own.permittedCapabilities & ~status.permittedCapabilities == 0,
            process.pidNamespace == 0 || sight[namespace: process.pidNamespace].isOwn,
            thread.namespaces.user == 0 || sight[namespace: thread.namespaces.user].isOwn
        else { return nil }
        return Processes.ownPid
    }
}

extension TreeSight {
    /// Notes which threads are in a domain.
    ///
    /// - Parameter confined: those that are; nil: the kernel does not tell.
    mutating func noteDomains(_ confined: Set<Int32>?) {
        guard let confined else { return }
        for index in processes.indices {
            for place in processes[index].threads.indices {
                processes[index].threads[place].isInDomain = confined.contains(processes[index].threads[place].tid.rawValue)
            }
        }
    }
}
