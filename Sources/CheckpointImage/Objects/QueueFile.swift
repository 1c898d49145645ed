/// A POSIX message queue, opened again by its name.
extension ImageQueueFile: SavedObject {
    /// Source: mq_overview(7); ipc/mqueue.c, HARD_MSGMAX and HARD_MSGSIZEMAX.
    private static let mostMessages: UInt64 = 65536
    private static let longestMessage: UInt64 = 16 << 20

    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(!name.isEmpty && name.count < 256 && !name.contains(0) && !name.contains(UInt8(ascii: "/")), .queueName)
        try rules.require(
            (1...Self.mostMessages).contains(mostMessages) && (1...Self.longestMessage).contains(longestMessage)
                && messages <= mostMessages && mode <= 0o777, .queueRange)
    }

    package func summary(in image: CheckpointImage) -> String { "POSIX message queue /\(name.asText)" }
}
