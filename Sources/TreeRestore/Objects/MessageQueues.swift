internal import CheckpointImage
internal import Kernel
internal import RestorePlan
internal import StepProgram

/// System V message queues that are gone. They outlive processes, so they are made as late as can be, like semaphore sets.
///
/// If this process dies in between, the guardian removes those that were made.
struct MessageQueueMaker {
    private let plan: RestorePlan

    init(_ tree: borrowing ForkedTree) { plan = tree.plan }

    private var made: [ImageMessageQueue] { plan.valid.messageQueues.filter(\.isMade).map(\.queue) }

    /// - Parameter memory: the launchpad, where the guardian sees how many there are.
    /// - If it fails: nothing is left of it.
    func run(_ memory: borrowing SharedMemory) throws(RestoreError) {
        let word = plan.launchpad.address(of: .messageQueues)
        for queue in made {
            do throws(SystemError) {
                let number = Int32(queue.number)
                try MessageQueues.make(number: number, key: queue.key, mode: queue.mode)
                memory.publish(word, memory.load32(word) + 1)
                // The limit first: texts that have been sent already could be more than a new queue holds.
                try MessageQueues.setOwner(of: number, owner: queue.owner, group: queue.group, mode: queue.mode, limit: queue.limit)
                for message in queue.messages { try MessageQueues.send(message.type, message.text.asBytes, to: number) }
            } catch {
                remove(memory)
                throw RestoreError(
                    cannot: "make message queue \(queue.number) again", error, help: error.name == "EEXIST" ? "its number or key was taken meanwhile" : "")
            }
        }
    }

    /// Takes back what `run` did.
    func remove(_ memory: borrowing SharedMemory) {
        let word = plan.launchpad.address(of: .messageQueues)
        Self.remove(first: memory.load32(word), of: plan)
        memory.publish(word, 0)
    }

    /// What the guardian does if the monitor dies before the point of no return.
    static func remove(first made: UInt32, of plan: RestorePlan) {
        for queue in plan.valid.messageQueues.filter(\.isMade).prefix(Int(made)) { MessageQueues.remove(Int32(queue.queue.number)) }
    }
}
