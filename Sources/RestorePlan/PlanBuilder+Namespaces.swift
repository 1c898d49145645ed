import CheckpointImage
import LinuxABI
import PidControl
import StepProgram

/// Namespaces. A task is born in its pid namespace, and can have another one for its children. Mount namespaces are made
/// by crrestart, and joined by the processes.
extension PlanBuilder {
    static let newPidNamespace = CloneFlag.CLONE_NEWPID
    static let newMountNamespace = CloneFlag.CLONE_NEWNS

    /// Makes the next children of `pid` be born in another pid namespace, or in its own again.
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

    /// Tells that a pid namespace exists, if another task will enter it.
    mutating func announceNamespace(_ program: inout Program, _ pid: UInt32) {
        guard let task = valid.creation.task(pid), valid.creation.isInit(task), enteredNamespaces.contains(task.namespace)
        else { return }
        program.advance(word(.namespace(task.namespace)), "its pid namespace exists")
    }

    /// Joins by a pidfd, which needs no `/proc`.
    ///
    /// - Source: setns(2); pid_namespaces(7), "setns(2) and unshare(2) semantics".
    private func bearChildren(_ program: inout Program, in member: UInt32, of pid: UInt32, _ note: String) {
        let number = valid.creation.number(of: member, seenBy: pid) ?? 0
        let descriptor = program.call(.pidfd_open, [.number(number), 0])
        program.call(.setns, [.result(of: descriptor), .value(Self.newPidNamespace)], note)
        program.call(.close, [.result(of: descriptor)])
    }

    /// Sets the pid namespace of the thread's children. After that it cannot create threads any more.
    mutating func childrenNamespace(_ program: inout Program, _ thread: ImageThread) {
        let namespace = image.childrenNamespace(of: thread)
        guard namespace != 0 else { return }
        let first = image.nestedPidNamespaces[Int(namespace - 1)].initPid
        if first == 0 {
            program.call(.unshare, [.value(Self.newPidNamespace)], "a pid namespace for its children, which are still to come")
        } else {
            bearChildren(&program, in: first, of: thread.process, "children are born in the pid namespace of \(first)")
        }
    }

    /// Joins the process's mount namespace. The init of a pid namespace also mounts `/proc` in all mount namespaces that
    /// have a `/proc` of this pid namespace: a `/proc` shows the pid namespace of the process that mounts it.
    ///
    /// Comes after all steps that need the `/proc` of crrestart, and before the root directory is changed.
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
        for (index, one) in image.ownMountNamespaces.enumerated() where image.procMounter(one) == process.pid {
            join(UInt32(index + 1))
            program.call(.mount, [name, place, name, .number(one.procFlags), 0], "/proc of its pid namespace")
        }
        join(image.mountNamespace(of: process))
        close(&program, high.mounts, "mount namespaces")
    }
}

extension CheckpointImage {
    /// The process that mounts `/proc` in a mount namespace: the init of the pid namespace that it shows. Nil if the tree
    /// has no such process.
    func procMounter(_ namespace: OwnMountNamespace) -> UInt32? {
        let shown = Int(namespace.procNamespace)
        let first = shown == 0 ? root : process(nestedPidNamespaces[shown - 1].initPid)
        return first.flatMap { isInit($0) && $0.state != .zombie ? $0.pid : nil }
    }

    /// The number of descriptors of mount namespaces: that of crrestart, and the new ones.
    var mountDescriptors: UInt32 { ownMountNamespaces.isEmpty ? 0 : UInt32(ownMountNamespaces.count + 1) }
}

extension ValidImage {
    /// Finds what the namespaces need and this host lacks, and what cannot be made again on any host.
    static func checkNamespaces(
        _ image: CheckpointImage, _ facts: HostFacts, options: RestartOptions, _ find: (String, String, String) -> Void
    ) {
        if image.rootIsNamespaceInit && options.newPidNamespace == false {
            find(
                "process 1", "the tree's root is the init of a pid namespace, and stays it", "it gets a namespace of its own without --no-pidns")
        }
        guard image.rootIsNamespaceInit || !image.nestedPidNamespaces.isEmpty || !image.ownMountNamespaces.isEmpty else { return }
        if !facts.mayMakeNamespaces {
            find("privilege", "pid and mount namespaces cannot be made", facts.namespaceHelp)
        }
        if options.usesLastPid { find("pids", "cannot be chosen by ns_last_pid in several pid namespaces", "") }
        for process in image.processes where process.state == .zombie && image.isInit(process) && process.exitStatus & 0x7f != 0 {
            find("process \(process.pid)", "was the init of a pid namespace and died of a signal, which cannot be repeated", "")
        }
        for process in image.processes
        where image.isInit(process) && (process.state == .stopped || process.state == .running && process.changeUnreported) {
            find("process \(process.pid)", "is the init of a pid namespace and was stopped, which cannot be repeated from inside", "")
        }
        for (index, one) in image.ownMountNamespaces.enumerated() where image.procMounter(one) == nil {
            find("mount namespace \(index + 1)", "its /proc shows a pid namespace whose init is not there", "")
        }
        for process in image.boundInMountNamespaces {
            find("process \(process.pid)", "shares descriptors or directories in a tree with a /proc of its own, which cannot be made again", "")
        }
        for thread in image.threads where image.childrenNamespace(of: thread) != 0 {
            let first = image.nestedPidNamespaces[Int(image.childrenNamespace(of: thread) - 1)].initPid
            if image.process(first)?.state == .zombie {
                find("thread \(thread.tid)", "has a pid namespace for its children whose init \(first) has ended", "")
            }
        }
    }
}
