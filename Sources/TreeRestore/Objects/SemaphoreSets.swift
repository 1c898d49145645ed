internal import CheckpointImage
internal import Kernel
internal import RestorePlan
internal import StepProgram

/// System V semaphore sets. They outlive processes, so they are made as late as can be: with the tree complete,
/// right before the point of no return.
///
/// If this process dies in between, the guardian removes those that were made.
struct SemaphoreSetMaker {
    private let tree: ForkedTree

    init(_ tree: ForkedTree) { self.tree = tree }

    /// Makes what is gone, and gives back the values that the end of the tree took.
    ///
    /// - If it fails: nothing is left of it.
    func run() throws(RestoreError) {
        var undo: [() -> Void] = []
        do throws(RestoreError) {
            for plan in tree.plan.valid.semaphores {
                do throws(SystemError) {
                    if plan.isMade { undo.append(try make(plan.set)) }
                    try change(plan, &undo)
                } catch {
                    throw RestoreError(
                        cannot: "make semaphore set \(plan.set.number) again", error,
                        help: error.name == "EEXIST" ? "its number or key was taken meanwhile" : "")
                }
            }
        } catch {
            for step in undo.reversed() { step() }
            throw error
        }
    }

    private func make(_ set: ImageSemaphoreSet) throws(SystemError) -> () -> Void {
        let number = Int32(set.number)
        try SemaphoreSets.make(number: number, key: set.key, count: set.values.count, mode: set.mode)
        tree.publish(.semaphoreSets, tree.word(.semaphoreSets) + 1)
        do throws(SystemError) {
            try SemaphoreSets.setOwner(of: number, owner: set.owner, group: set.group, mode: set.mode)
        } catch {
            SemaphoreSets.remove(number)
            throw error
        }
        return { SemaphoreSets.remove(number) }
    }

    private func change(_ plan: SemaphorePlan, _ undo: inout [() -> Void]) throws(SystemError) {
        let number = Int32(plan.set.number)
        let before = tree.plan.valid.facts.semaphoreSets[plan.set.number]?.values
        for index in plan.changes {
            try SemaphoreSets.setValue(of: number, index, to: plan.set.values[index])
            if let before { undo.append { try? SemaphoreSets.setValue(of: number, index, to: before[index]) } }
        }
    }

    /// What the guardian does if the monitor dies before the point of no return.
    ///
    /// - Parameter made: how many sets had been made.
    static func remove(first made: UInt32, of plan: RestorePlan) {
        for set in plan.valid.semaphores.filter(\.isMade).prefix(Int(made)) { SemaphoreSets.remove(Int32(set.set.number)) }
    }
}
