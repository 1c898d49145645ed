internal import CheckpointImage
internal import Kernel
internal import RestorePlan
internal import StepProgram

/// System V semaphore sets. They outlive processes, so they are made as late as can be: with the tree complete,
/// right before the point of no return.
///
/// If this process dies in between, the guardian removes those that were made.
struct SemaphoreSetMaker {
    private let plan: RestorePlan

    init(_ tree: borrowing ForkedTree) { plan = tree.plan }

    /// Makes what is gone, and gives back the values that the end of the tree took.
    ///
    /// - Parameter memory: the launchpad, where the guardian sees how many there are.
    /// - If it fails: nothing is left of it.
    /// - Returns: what undoes it, from the last to the first.
    func run(_ memory: borrowing SharedMemory) throws(RestoreError) -> [() -> Void] {
        var undo: [() -> Void] = []
        do throws(RestoreError) {
            for one in plan.valid.semaphores {
                do throws(SystemError) {
                    if one.isMade { undo.append(try make(one.set, memory)) }
                    try change(one, &undo)
                } catch {
                    throw RestoreError(
                        cannot: "make semaphore set \(one.set.number) again", error,
                        help: error.name == "EEXIST" ? "its number or key was taken meanwhile" : "")
                }
            }
        } catch {
            for step in undo.reversed() { step() }
            throw error
        }
        return undo.reversed()
    }

    private func make(_ set: ImageSemaphoreSet, _ memory: borrowing SharedMemory) throws(SystemError) -> () -> Void {
        let number = Int32(set.number)
        try SemaphoreSets.make(number: number, key: set.key, count: set.values.count, mode: set.mode)
        let made = plan.launchpad.address(of: .semaphoreSets)
        memory.publish(made, memory.load32(made) + 1)
        do throws(SystemError) {
            try SemaphoreSets.setOwner(of: number, owner: set.owner, group: set.group, mode: set.mode)
        } catch {
            SemaphoreSets.remove(number)
            throw error
        }
        return { SemaphoreSets.remove(number) }
    }

    private func change(_ one: SemaphorePlan, _ undo: inout [() -> Void]) throws(SystemError) {
        let number = Int32(one.set.number)
        let before = plan.valid.facts.semaphoreSets[one.set.number]?.values
        for index in one.changes {
            try SemaphoreSets.setValue(of: number, index, to: one.set.values[index])
            if let before { undo.append { try? SemaphoreSets.setValue(of: number, index, to: before[index]) } }
        }
    }

    /// What the guardian does if the monitor dies before the point of no return.
    ///
    /// - Parameter made: how many sets had been made.
    static func remove(first made: UInt32, of plan: RestorePlan) {
        for set in plan.valid.semaphores.filter(\.isMade).prefix(Int(made)) { SemaphoreSets.remove(Int32(set.set.number)) }
        for set in plan.valid.semaphores where !set.isMade && !set.undo.isEmpty { putBack(set, plan.valid.facts) }
    }

    /// A set that was there gets its values back. That a value is set makes the kernel forget what the tasks would undo, so it does not
    /// matter which of them have ended.
    private static func putBack(_ one: SemaphorePlan, _ facts: HostFacts) {
        let number = Int32(one.set.number)
        guard let before = facts.semaphoreSets[one.set.number]?.values, var now = (try? SemaphoreSetState.all())?.first(where: { $0.number == number }),
            (try? now.readValues()) != nil
        else { return }
        for index in before.indices where now.values.indices.contains(index) && now.values[index] != before[index] {
            try? SemaphoreSets.setValue(of: number, index, to: before[index])
        }
    }
}
