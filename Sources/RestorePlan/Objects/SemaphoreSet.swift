package import CheckpointImage

extension HostFacts {
    /// A semaphore set as it is here.
    package struct SemaphoreSet: Sendable {
        package var key: UInt32
        package var values: [UInt32]
        /// Who changed each semaphore last; 0: nobody who can be told.
        package var changers: [UInt32]
        /// What the changers are called, those that are alive.
        package var names: [UInt32: String]

        package init(key: UInt32, values: [UInt32], changers: [UInt32], names: [UInt32: String] = [:]) {
            self.key = key
            self.values = values
            self.changers = changers
            self.names = names
        }
    }
}

/// What has to be done about a System V semaphore set right before the tree goes on.
///
/// A set belongs to no process. It may have outlived the tree: then it is used as it is, but for semaphores
/// that the end of the tree itself has changed (SEM_UNDO), which get their values back. A set that is gone is
/// made again with its number.
package struct SemaphorePlan: Sendable, Equatable {
    package let set: ImageSemaphoreSet
    package let isMade: Bool
    /// Semaphores that get their value, by index.
    package let changes: [Int]

    /// Nil: it cannot be had here, and a finding says so.
    init?(_ set: ImageSemaphoreSet, _ facts: HostFacts, _ find: (String, String, String) -> Void) {
        self.set = set
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
        var changes: [Int] = []
        for index in set.values.indices where here.values[index] != set.values[index] {
            let changer = here.changers[index]
            if changer != 0 && !users.contains(changer) {
                let who = here.names[changer].map { "\(changer) \($0)" } ?? "\(changer), which has ended"
                find(
                    name, "semaphore \(index) was \(set.values[index]) and is \(here.values[index]): changed by \(who)",
                    "ipcrm -s \(set.number) removes the set, and the restart makes it again")
                return nil
            }
            changes.append(index)
        }
        isMade = false
        self.changes = changes
    }
}
