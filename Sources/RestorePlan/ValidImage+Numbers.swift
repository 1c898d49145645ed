import CheckpointImage
import PidControl

extension ValidImage {
    /// Whether the tree gets a pid namespace of its own if the user does not choose.
    static func choosesNamespace(_ image: CheckpointImage, _ facts: HostFacts, _ options: RestartOptions) -> Bool {
        guard options.keepsPids else { return false }
        if case .refused = facts.numbers.choice, !facts.mayMakeNamespaces, case .success = facts.ownUserNamespace { return true }
        return !facts.takenPids.isEmpty || highestNumber(of: image) >= facts.numbers.end
    }

    /// Whether crrestart, without privilege, makes the tree's namespaces in a user namespace of its own.
    static func entersUserNamespace(_ image: CheckpointImage, _ host: HostFacts, newNamespace: Bool) -> Bool {
        guard !host.mayMakeNamespaces, case .success = host.ownUserNamespace else { return false }
        return newNamespace || image.rootIsNamespaceInit
    }

    /// In a user namespace of its own a task can have the user and the groups of crrestart only.
    ///
    /// - Source: user_namespaces(7), "Defining user and group ID mappings".
    static func checkUsers(of thread: ImageThread, _ facts: HostFacts, _ find: (String, String, String) -> Void) {
        let (wanted, own) = (thread.credentials, facts.ownCredentials)
        let users = [wanted.realUser, wanted.effectiveUser, wanted.savedUser, wanted.fileSystemUser]
        let groups = [wanted.realGroup, wanted.effectiveGroup, wanted.savedGroup, wanted.fileSystemGroup]
        let name = "thread \(thread.tid) \(thread.name.asText)"
        if let other = users.first(where: { $0 != own.effectiveUser }) {
            find(name, "has user id \(other), and crrestart \(own.effectiveUser): without privilege a tree can have one user only", "be root")
        } else if let other = groups.first(where: { $0 != own.effectiveGroup }) {
            find(name, "has group id \(other), and crrestart \(own.effectiveGroup): without privilege a tree can have one group only", "be root, or use newgrp or sg")
        } else if wanted.groups != own.groups {
            let (theirs, ours) = (wanted.groups.map(String.init), own.groups.map(String.init))
            find(
                name, "has the groups \(theirs.joined(separator: ", ")), and crrestart \(ours.joined(separator: ", ")), which it cannot change without privilege",
                "be root, or start crrestart from a session with the same groups")
        }
    }

    /// Finds numbers that are taken or too high, and whether numbers can be chosen at all.
    static func checkNumbers(
        _ image: CheckpointImage, _ facts: HostFacts, _ options: RestartOptions, newNamespace: Bool,
        _ find: (String, String, String) -> Void
    ) {
        let isInit = image.rootIsNamespaceInit
        let newNamespace = newNamespace || isInit
        if isInit && !options.keepsPids {
            return find("--no-pids", "the root of the tree is the init of a pid namespace, whose numbers are its own", "leave it out")
        }
        checkPrivilege(image, facts, newNamespace: newNamespace, find)
        guard options.keepsPids else {
            if Renumbering(of: image, fresh: facts.freshNumbers) == nil {
                find(
                    "pids", "\(Renumbering.oldNumbers(of: image).count) are needed, \(facts.freshNumbers.count) are free here",
                    "sysctl kernel.pid_max is \(facts.numbers.end)")
            }
            return
        }
        checkHighest(image, facts, newNamespace: newNamespace, find)
        guard !newNamespace else { return }
        for (pid, holder) in facts.takenPids.sorted(by: { $0.key < $1.key }) {
            let name =
                image.process(pid)?.command.asText
                ?? (image.thread(pid) == nil ? "those whose session or group it leads (it is dead itself)" : "a thread")
            find("pid \(pid)", "needed by \(name), taken by \(holder)", "--pidns gives the tree numbers of its own")
        }
    }

    private static func checkPrivilege(
        _ image: CheckpointImage, _ facts: HostFacts, newNamespace: Bool, _ find: (String, String, String) -> Void
    ) {
        let numbers = facts.numbers
        let choice = newNamespace ? numbers.choiceInNewNamespace : numbers.choice
        if choice == .lastPid && !image.nestedPidNamespaces.isEmpty {
            find("pids", "tasks of nested pid namespaces have several, which only clone3 with set_tid can give", "a kernel or container that allows it is needed")
        }
        if newNamespace && !image.rootIsNamespaceInit && !facts.mayMakeNamespaces {
            find("privilege", "a pid namespace cannot be made: EPERM", facts.namespaceHelp)
        }
        guard case .refused(let setTid, let lastPid) = choice else { return }
        let both = "clone3 with set_tid answers \(setTid), ns_last_pid \(lastPid)"
        let isPrivilege = setTid == "EPERM" || lastPid == "EPERM" || lastPid == "EACCES"
        find(
            "privilege", "pids cannot be chosen: \(both)",
            isPrivilege ? facts.numberHelp : "a kernel or container that has one of the two is needed")
    }

    private static func checkHighest(
        _ image: CheckpointImage, _ facts: HostFacts, newNamespace: Bool, _ find: (String, String, String) -> Void
    ) {
        let highest = highestNumber(of: image)
        let end = newNamespace ? facts.numbers.endInNewNamespace : facts.numbers.end
        guard highest >= end else { return }
        let raise = "sysctl -w kernel.pid_max=\(highest + 1) makes room"
        let others =
            newNamespace
            ? "--no-pidns --no-pids gives it fresh numbers"
            : facts.numbers.endInNewNamespace > highest
                ? "--pidns gives the tree numbers of its own, up to \(facts.numbers.endInNewNamespace - 1)" : "--no-pids gives it fresh numbers"
        find("pid \(highest)", "is above the highest number here, \(end - 1)", "\(raise); \(others)")
    }

    /// The highest number of the tasks, and of dead leaders whose session or group still has members.
    static func highestNumber(of image: CheckpointImage) -> UInt32 {
        Renumbering.oldNumbers(of: image).max() ?? 0
    }

    /// Whether the tree gets a new pid namespace: one that crrestart makes, or one that begins with the root.
    package var isInNewNamespace: Bool { newPidNamespace || image.rootIsNamespaceInit }

    /// Whether tasks get their numbers by `ns_last_pid`.
    package var usesLastPid: Bool {
        options.usesLastPid || (isInNewNamespace ? facts.numbers.choiceInNewNamespace : facts.numbers.choice) == .lastPid
    }
}

extension HostFacts {
    /// What helps where namespaces cannot be made.
    var namespaceHelp: String { "CAP_SYS_ADMIN is needed: be root" + userNamespaceHelp }

    /// What helps where numbers cannot be chosen.
    var numberHelp: String {
        let help = "CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE is needed: be root"
        if !mayMakeNamespaces, case .success = ownUserNamespace { return "\(help), or use --pidns, which needs no privilege here" }
        return help + userNamespaceHelp
    }

    private var userNamespaceHelp: String {
        guard !mayMakeNamespaces, case .failure(let refusal) = ownUserNamespace else { return "" }
        let settings =
            ["ENOSPC", "EUSERS"].contains(refusal.errno)
            ? "sysctl user.max_user_namespaces"
            : "sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns, or the container's seccomp filter"
        return "; or a user namespace, which is refused with \(refusal.errno): an administrator can allow it (\(settings))"
    }
}
