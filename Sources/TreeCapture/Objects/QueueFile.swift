internal import CheckpointImage
internal import Kernel

/// POSIX message queues: opened again by name. Their messages stay in the kernel, which shows a message only to the process that takes it.
///
/// Details: `messageQueue`; `most`, `longest`, `messages`, `notified`.
enum QueueFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.details["messageQueue"] != nil }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        for index in sights.indices {
            do throws(SystemError) {
                let state = try QueueFileState.read(of: sights[index].holder.rawValue, descriptor: sights[index].number)
                sights[index][number: "most"] = state.mostMessages
                sights[index][number: "longest"] = state.longestMessage
                sights[index][number: "messages"] = state.messages
                if state.notified != 0 { sights[index][number: "notified"] = UInt64(UInt32(bitPattern: state.notified)) }
            } catch { sights[index].fail(error) }
        }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        let name = sight.target.shown
        if sight.isRemoved {
            return .refused("is the POSIX message queue \(name), whose name has been removed (mq_unlink), which cannot be saved yet", help: "mq_close it before the checkpoint")
        }
        if let notified = sight[number: "notified"] {
            return .refused(
                "is the POSIX message queue \(name), which tells process \(notified) of the next message (mq_notify), which cannot be saved yet",
                help: "let the program take that back: mq_notify with a null pointer")
        }
        guard let most = sight[number: "most"], let longest = sight[number: "longest"], let messages = sight[number: "messages"] else {
            return .refused("is the POSIX message queue \(name), which cannot be looked into: \(sight.failure?.errno ?? "")", help: "mq_close it before the checkpoint")
        }
        if messages > 0 {
            recorder.notice("\(messages) message\(messages == 1 ? " stays" : "s stay") in the POSIX message queue \(name) and \(messages == 1 ? "is" : "are") not in the image: they can only be looked at by taking them")
        }
        var object = ImageQueueFile()
        object.name = Array(sight.target.bytes.dropFirst()).asData
        object.mostMessages = most
        object.longestMessage = longest
        object.messages = messages
        object.mode = sight.status.mode & 0o777
        object.owner = sight.status.owner
        object.group = sight.status.group
        return .object(.queue(object))
    }
}
