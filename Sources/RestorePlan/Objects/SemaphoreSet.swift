package import CheckpointImage

extension HostFacts {
    /// A semaphore set as it is on this host.
    package struct SemaphoreSet: Sendable {
        package var key: UInt32
        package var values: [UInt32]
        /// The process that changed each semaphore last, by pid; 0: it is not known.
        package var changers: [UInt32]
        /// Command names of these processes, by pid; those that have ended are missing.
        package var names: [UInt32: String]
        package var rights: Rights

        /// Who may change the values: see ipcperms of ipc/util.c.
        package struct Rights: Sendable, Equatable {
            package var owner: UInt32 = 0
            package var creator: UInt32 = 0
            package var group: UInt32 = 0
            package var creatorGroup: UInt32 = 0
            package var mode: UInt32 = 0o600

            package init() {}

            package init(owner: UInt32, creator: UInt32, group: UInt32, creatorGroup: UInt32, mode: UInt32) {
                self.owner = owner
                self.creator = creator
                self.group = group
                self.creatorGroup = creatorGroup
                self.mode = mode
            }

            func letChange(_ one: ImageCredentials) -> Bool {
                if one.effective >> 15 & 1 != 0 { return true }  // CAP_IPC_OWNER
                let write: UInt32 = 0o2
                if [owner, creator].contains(one.effectiveUser) { return mode >> 6 & write != 0 }
                let groups = one.groups + [one.effectiveGroup]
                if groups.contains(group) || groups.contains(creatorGroup) { return mode >> 3 & write != 0 }
                return mode & write != 0
            }
        }

        package init(
            key: UInt32, values: [UInt32], changers: [UInt32], names: [UInt32: String] = [:], rights: Rights = Rights()
        ) {
            self.rights = rights
            self.key = key
            self.values = values
            self.changers = changers
            self.names = names
        }
    }
}

/// The changes to a System V semaphore set right before the tree goes on.
///
/// A set belongs to no process, so it can still exist after the end of the tree. Then it is used as it is; semaphores that
/// the kernel changed at the end of the tree (SEM_UNDO) get their old values. A set that does not exist any more is made
/// again with its number.
package struct SemaphorePlan: Sendable, Equatable {
    package let set: ImageSemaphoreSet
    package let isMade: Bool
    /// Semaphores that get their value, by index.
    package let changes: [Int]
    /// What tasks of the tree undo at their end.
    package let undo: [SemaphoreUndoPlan]

    /// Nil: the set cannot be used or made here, and there is a finding.
    ///
    /// - Parameter credentials: of the tree's threads. An image can claim anything: what none of them may change is left alone.
    init?(_ set: ImageSemaphoreSet, _ facts: HostFacts, by credentials: [ImageCredentials], _ find: (String, String, String) -> Void) {
        self.set = set
        undo = set.undo.map { SemaphoreUndoPlan($0, values: set.values) }
        let name = "semaphore set \(set.number)" + (set.key == 0 ? "" : " (key 0x\(String(set.key, radix: 16)))")
        guard let here = facts.semaphoreSets[set.number] else {
            if set.key != 0, let other = facts.semaphoreSets.first(where: { $0.value.key == set.key }) {
                find(name, "its key belongs to set \(other.key) here", "ipcrm -s \(other.key) removes that one")
                return nil
            }
            if !facts.mayChooseSemaphoreNumbers {
                find(
                    name, "is gone, and cannot be made again with its number",
                    "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN is needed: be root")
                return nil
            }
            isMade = true
            changes = Array(set.values.indices)
            return
        }
        guard here.key == set.key, here.values.count == set.values.count else {
            find(name, "its number belongs to another set here", "ipcrm -s \(set.number) removes that one")
            return nil
        }
        let users = Set(set.users)
        let sums = Self.sums(of: set)
        var changes: [Int] = []
        for index in set.values.indices where here.values[index] != set.values[index] {
            let changer = here.changers[index]
            // What the end of the tree leaves, also where a restart that failed has set it back.
            let isOfEnd = sums[index] != 0 && here.values[index] == Self.value(set.values[index], plus: sums[index])
            // The tree has ended: a living process with such a number is not of the tree, or of the tree that the image was taken of.
            if changer != 0 && (!users.contains(changer) && !isOfEnd || here.names[changer] != nil) {
                let process = here.names[changer].map { "\(changer) \($0), which is alive" } ?? "\(changer), which has ended"
                find(
                    name, "semaphore \(index) was \(set.values[index]) and is \(here.values[index]): changed by \(process)",
                    "ipcrm -s \(set.number) removes the set, and the restart makes it again")
                return nil
            }
            changes.append(index)
        }
        // The end of the tree would have changed it.
        if let index = set.values.indices.first(where: { sums[$0] != 0 && here.values[$0] == set.values[$0] }) {
            find(
                name, "semaphore \(index) is \(here.values[index]), as at the checkpoint: a task of the tree has operations to undo on it (SEM_UNDO), and has not ended",
                "end the tree that was saved first")
            return nil
        }
        if !changes.isEmpty && !credentials.contains(where: here.rights.letChange) {
            find(
                name, "belongs to user \(here.rights.owner), and no task of the tree may change it",
                "ipcrm -s \(set.number) removes the set, and the restart makes it again")
            return nil
        }
        isMade = false
        self.changes = changes
    }

    /// What the values will be when the tree has ended, and which process will have changed them.
    package static func foresee(endOf set: ImageSemaphoreSet, _ values: inout [UInt32], _ changers: inout [UInt32]) {
        for (index, sum) in sums(of: set).enumerated() where sum != 0 && values.indices.contains(index) && changers.indices.contains(index) {
            values[index] = value(values[index], plus: sum)
            changers[index] = set.users.first ?? 0
        }
    }

    /// A task that could change a set once may have become another user since.
    static func checkRights(of set: ImageSemaphoreSet, _ image: CheckpointImage, _ facts: HostFacts, _ find: (String, String, String) -> Void) {
        let own = facts.ownCredentials
        let made = HostFacts.SemaphoreSet.Rights(
            owner: set.owner, creator: own.effectiveUser, group: set.group, creatorGroup: own.effectiveGroup, mode: set.mode)
        let rights = facts.semaphoreSets[set.number]?.rights ?? made
        for undo in set.undo {
            guard let thread = image.threads.first(where: { $0.tid == undo.thread }), !rights.letChange(thread.credentials) else { continue }
            find(
                "semaphore set \(set.number)", "task \(undo.thread) has operations to undo on it (SEM_UNDO), and may not change it any more",
                "its owner can let it: ipcs -s -i \(set.number)")
        }
    }

    /// The kernel keeps each value within 0 and SEMVMX.
    private static func value(_ value: UInt32, plus sum: Int) -> UInt32 { UInt32(max(0, min(32767, Int(value) + sum))) }

    /// What the end of the tree adds to each semaphore, as far as that can be told: the kernel keeps each value within 0 and SEMVMX.
    static func sums(of set: ImageSemaphoreSet) -> [Int] {
        set.values.indices.map { index in
            set.undo.reduce(0) { $0 + ($1.adjustments.indices.contains(index) ? Int($1.adjustments[index]) : 0) }
        }
    }
}
