internal import CheckpointImage
internal import Kernel

/// System V message queues. They belong to no process: taken are those that a task of the tree waits for, and those with which
/// a process of the tree was the last to send or to receive. Who has made a queue, or has only asked for it, the kernel does not
/// tell.
enum MessageQueue {
    /// Looks at those of crcheckpoint's ipc namespace that concern the tree. Nothing is taken out of them.
    static func look(_ sight: inout TreeSight) {
        guard let all = try? MessageQueueState.all(), !all.isEmpty else { return }
        var users: [Int32: HostPid] = [:]
        for (process, thread) in sight.threads {
            if let number = MessageQueueState.awaited(by: thread.tid.rawValue) { users[number] = process.pid }
        }
        let members = Set(sight.processes.map(\.pid) + sight.zombies.map(\.pid))
        var queues: [MessageQueueSight] = []
        for var state in all {
            let last = [state.lastSender, state.lastReceiver].map { HostPid($0) }.first(where: members.contains)
            guard let user = users[state.number] ?? last else { continue }
            var failure: Failure?
            do throws(SystemError) { try state.readMessages() } catch { failure = Failure(error) }
            queues.append(
                MessageQueueSight(
                    number: state.number, key: state.key, mode: state.mode, owner: state.owner, group: state.group, limit: state.limit,
                    messages: state.messages.map { .init(type: $0.type, text: RawText($0.text)) }, user: user, failure: failure))
        }
        if !queues.isEmpty { sight.messageQueues = queues }
    }

    static func record(_ recorder: inout Recorder) {
        for state in recorder.sight.messageQueues ?? [] {
            if let failure = state.failure {
                recorder.find(
                    state.user, "message queue \(state.number)", "cannot be read: \(failure.errno)",
                    help: "be its owner, or have CAP_IPC_OWNER; ipcrm -q \(state.number) removes it")
                continue
            }
            var queue = ImageMessageQueue()
            queue.id = UInt32(recorder.records.messageQueues.count + 1)
            queue.number = UInt32(bitPattern: state.number)
            queue.key = state.key
            queue.mode = state.mode
            queue.owner = state.owner
            queue.group = state.group
            queue.limit = state.limit
            queue.messages = state.messages.map { message in
                var record = ImageQueuedMessage()
                record.type = message.type
                record.text = message.text.bytes.asData
                return record
            }
            recorder.records.messageQueues.append(queue)
        }
    }
}
