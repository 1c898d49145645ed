import CheckpointImage
import PidControl
import StepProgram

/// Pid namespaces: a task is born into the one it lives in, and may have another one for its children. Mount
/// namespaces are made by crrestart and joined.
extension PlanBuilder {
    static let newPidNamespace: UInt64 = 0x2000_0000
    static let newMountNamespace: UInt64 = 0x0002_0000

    /// From here on the children of `pid` are born in another pid namespace, or in its own again.
    mutating func enterNamespace(_ program: inout Program, _ namespace: Int, of pid: UInt32) {
        guard let task = valid.creation.task(pid) else { return }
        if namespace == task.namespace {
            bearChildren(&program, in: pid, of: pid, "children are born in its own pid namespace again")
            return
        }
        let first = valid.creation.namespaces.inits[namespace]
        program.wait(for: word(.namespace(namespace)), toReach: 1, "until the pid namespace of \(first) exists")
        bearChildren(&program, in: first, of: pid, "children are born in the pid namespace of \(first)")
    }

    /// Says that a pid namespace exists, where somebody waits for it.
    mutating func announceNamespace(_ program: inout Program, _ pid: UInt32) {
        guard let task = valid.creation.task(pid), valid.creation.isInit(task), enteredNamespaces.contains(task.namespace)
        else { return }
        program.advance(word(.namespace(task.namespace)), "its pid namespace exists")
    }

    /// By a pidfd: it needs no `/proc`.
    ///
    /// - Source: setns(2); pid_namespaces(7), "setns(2) and unshare(2) semantics".
    private func bearChildren(_ program: inout Program, in member: UInt32, of pid: UInt32, _ note: String) {
        let number = valid.creation.number(of: member, seenBy: pid) ?? 0
        let descriptor = program.call(.pidfd_open, [.number(number), 0])
        program.call(.setns, [.result(of: descriptor), .value(Self.newPidNamespace)], note)
        program.call(.close, [.result(of: descriptor)])
    }

    /// Where the thread's own children go. It cannot have threads in its process after that.
    mutating func childrenNamespace(_ program: inout Program, _ thread: ImageThread) {
        guard thread.childrenNamespace != 0 else { return }
        let first = image.header.pidNamespaces[Int(thread.childrenNamespace - 1)].init_p
        if first == 0 {
            program.call(.unshare, [.value(Self.newPidNamespace)], "a pid namespace for its children, who are still to come")
        } else {
            bearChildren(&program, in: first, of: thread.process, "children are born in the pid namespace of \(first)")
        }
    }

    /// Joins its mount namespace. An init mounts its `/proc` wherever it is seen: that shows the pid namespace of
    /// whoever mounts it.
    ///
    /// After what needs the `/proc` that crrestart has, and before the root directory is another one.
    mutating func enterMountNamespace(_ program: inout Program, _ process: ImageProcess) {
        var current: UInt32 = 0
        func join(_ number: UInt32) {
            guard number != current else { return }
            current = number
            let name = number == 0 ? "the mount namespace that the tree began in" : "mount namespace \(number)"
            program.call(.setns, [.number(high.mount(number)), .value(Self.newMountNamespace)], name)
        }
        let name = path(Array("proc".utf8))
        let place = path(Array("/proc".utf8))
        for (index, one) in image.header.mountNamespaces.enumerated() where image.procMounter(one) == process.pid {
            join(UInt32(index + 1))
            program.call(.mount, [name, place, name, .number(one.procFlags), 0], "/proc of its pid namespace")
        }
        join(process.mountNamespace)
        if high.mounts > 0 { program.call(.close_range, [.number(high.mount(0)), .number(high.mount(high.mounts - 1)), 0]) }
    }
}

extension CheckpointImage {
    /// Who mounts `/proc` in a mount namespace: the init of the pid namespace that it shows; nil if that is not there.
    func procMounter(_ namespace: ImageMountNamespace) -> UInt32? {
        let shown = Int(namespace.procNamespace)
        let first = shown == 0 ? root : process(header.pidNamespaces[shown - 1].init_p)
        return first.flatMap { isInit($0) && $0.state != .zombie ? $0.pid : nil }
    }

    /// How many descriptors there are of mount namespaces: that of crrestart, and new ones.
    var mountDescriptors: UInt32 { header.mountNamespaces.isEmpty ? 0 : UInt32(header.mountNamespaces.count + 1) }
}

extension ValidImage {
    /// What namespaces need of this host, and what of them cannot be made again.
    static func checkNamespaces(
        _ image: CheckpointImage, _ facts: HostFacts, options: RestartOptions, _ find: (String, String, String) -> Void
    ) {
        let header = image.header
        if header.rootIsNamespaceInit && options.newPidNamespace == false {
            find(
                "process 1", "the tree's root is the init of a pid namespace, and stays it", "it gets a namespace of its own without --no-pidns")
        }
        guard header.rootIsNamespaceInit || !header.pidNamespaces.isEmpty || !header.mountNamespaces.isEmpty else { return }
        if !facts.mayMakeNamespaces {
            find("privilege", "pid and mount namespaces cannot be made", "CAP_SYS_ADMIN is needed: be root")
        }
        if options.usesLastPid { find("pids", "cannot be chosen by ns_last_pid in several pid namespaces", "") }
        for process in image.processes where process.state == .zombie && image.isInit(process) && process.exitStatus & 0x7f != 0 {
            find("process \(process.pid)", "was the init of a pid namespace and died of a signal, which cannot be repeated", "")
        }
        for process in image.processes
        where image.isInit(process) && (process.state == .stopped || process.state == .running && process.changeUnreported) {
            find("process \(process.pid)", "is the init of a pid namespace and was stopped, which cannot be repeated from inside", "")
        }
        for (index, one) in header.mountNamespaces.enumerated() where image.procMounter(one) == nil {
            find("mount namespace \(index + 1)", "its /proc shows a pid namespace whose init is not there", "")
        }
        for process in header.boundInMountNamespaces(image.processes) {
            find("process \(process.pid)", "shares descriptors or directories in a tree with a /proc of its own, which cannot be made again", "")
        }
        for thread in image.threads where thread.childrenNamespace != 0 {
            let first = header.pidNamespaces[Int(thread.childrenNamespace - 1)].init_p
            if image.process(first)?.state == .zombie {
                find("thread \(thread.tid)", "has a pid namespace for its children whose init \(first) has ended", "")
            }
        }
    }
}
