/// Rules of System V message queues.
extension ImageLookup {
    func validate(_ queues: [ImageMessageQueue]) throws(ImageError) {
        var numbers: Set<UInt32> = []
        var keys: Set<UInt32> = []
        for queue in queues {
            let subject = { "message queue \(queue.id)" }
            // What msgctl(2) takes as a limit the kernel counts as a signed number of 32 bits.
            try require(
                queue.number <= Int32.max && queue.mode <= 0o777 && queue.limit <= Int32.max
                    && queue.messages.allSatisfy { $0.type > 0 && $0.text.count <= Int32.max }, .messageRange, subject())
            try require(numbers.insert(queue.number).inserted, .messageTwice, subject())
            try require(queue.key == 0 || keys.insert(queue.key).inserted, .messageTwice, subject())
        }
    }
}
