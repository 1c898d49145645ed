internal import LinuxABI

/// A POSIX message queue, opened again by its name, or made again if it has lost its name.
extension ImageQueueFile: SavedObject {
    /// Source: mq_overview(7); ipc/mqueue.c, HARD_MSGMAX and HARD_MSGSIZEMAX.
    private static let mostMessages: UInt64 = 65536
    private static let longestMessage: UInt64 = 16 << 20
    /// MQ_PRIO_MAX
    private static let priorities: UInt32 = 32768

    package var bundle: ObjectReference? { removed == 0 ? nil : .removedQueue(removed) }

    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(!name.isEmpty && name.count < 256 && !name.contains(0) && !name.contains(UInt8(ascii: "/")), .queueName)
        try rules.require(
            (1...Self.mostMessages).contains(mostMessages) && (1...Self.longestMessage).contains(longestMessage)
                && messages <= mostMessages && mode <= 0o777, .queueRange)
        try rules.require(contents.isEmpty || removed != 0 && contents.count == messages, .queueRange)
        for message in contents {
            try rules.require(message.priority < Self.priorities && message.text.count <= Int(longestMessage), .queueRange)
        }
        guard hasNotification else { return }
        try rules.require(rules.lookup.process[notification.process] != nil, .queueNotification)
        switch notification.method {
        case SignalEvent.SIGEV_SIGNAL: try rules.require((1...64).contains(notification.signal), .queueNotification)
        case SignalEvent.SIGEV_NONE: break
        case SignalEvent.SIGEV_THREAD: try rules.require(notification.cookie.count == 32 && notification.descriptor <= Int32.max, .queueNotification)
        default: throw .rule(.queueNotification, "open file \(rules.id)")
        }
    }

    package func summary(in image: CheckpointImage) -> String {
        "POSIX message queue /\(name.asText)" + (removed == 0 ? "" : ", removed") + (hasNotification ? ", tells process \(notification.process)" : "")
    }
}
