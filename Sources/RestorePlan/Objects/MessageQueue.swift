package import CheckpointImage

extension HostFacts {
    /// What this host says about System V message queues.
    package struct MessageQueues: Sendable {
        /// Keys by number.
        package var keys: [UInt32: UInt32] = [:]
        package var mayChooseNumbers = true
        /// kernel.msgmax, which binds all users, and kernel.msgmnb, which binds those without CAP_SYS_RESOURCE.
        package var longestMessage: UInt64 = .max
        package var largestQueue: UInt64 = .max

        package init() {}
    }
}

/// What is done with a System V message queue right before the tree goes on.
///
/// A queue belongs to no process. One that still exists is used as it is, with what is in it now; one that does not exist any
/// more is made again, with its number and its messages.
package struct MessageQueuePlan: Sendable, Equatable {
    package let queue: ImageMessageQueue
    package let isMade: Bool

    /// Nil: the queue cannot be used or made here, and there is a finding.
    init?(_ queue: ImageMessageQueue, _ facts: HostFacts, _ find: (String, String, String) -> Void) {
        self.queue = queue
        let here = facts.messageQueues
        let name = "message queue \(queue.number)" + (queue.key == 0 ? "" : " (key 0x\(String(queue.key, radix: 16)))")
        if let key = here.keys[queue.number] {
            guard key == queue.key else {
                find(name, "its number belongs to another queue here", "ipcrm -q \(queue.number) removes that one")
                return nil
            }
            isMade = false
            return
        }
        isMade = true
        if queue.key != 0, let other = here.keys.first(where: { $0.value == queue.key })?.key {
            find(name, "its key belongs to queue \(other) here", "ipcrm -q \(other) removes that one")
            return nil
        }
        if !here.mayChooseNumbers {
            find(name, "is gone, and cannot be made again with its number", "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN is needed: be root")
            return nil
        }
        if queue.limit > here.largestQueue && !facts.mayRaiseLimits {
            find(name, "holds up to \(queue.limit) bytes, \(here.largestQueue) are allowed here", "sysctl -w kernel.msgmnb=\(queue.limit), or CAP_SYS_RESOURCE")
            return nil
        }
        if let longest = queue.messages.map(\.text.count).max(), UInt64(longest) > here.longestMessage {
            find(name, "holds a message of \(longest) bytes, \(here.longestMessage) are allowed here", "sysctl -w kernel.msgmax=\(longest)")
            return nil
        }
    }
}
