internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// POSIX message queues: opened again by name. Their messages stay in the kernel, which shows a message only to the process that takes it.
/// A queue that has lost its name is made again, with the messages that the kernel's memory shows.
///
/// Details: `messageQueue`; `most`, `longest`, `messages`; `notified` (a pid), `method`, `signal`; what only the kernel's memory shows: `value`,
/// `tellingSocket` (an inode), `cookie`, `text0`, `priority0`, ..., or `unseen`, why it cannot be read.
enum QueueFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.details["messageQueue"] != nil }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        for index in sights.indices {
            do throws(SystemError) {
                let state = try QueueFileState.read(of: sights[index].holder.rawValue, descriptor: sights[index].number)
                sights[index][number: "most"] = state.mostMessages
                sights[index][number: "longest"] = state.longestMessage
                sights[index][number: "messages"] = state.messages
                if let one = state.notification {
                    sights[index][number: "notified"] = UInt64(UInt32(bitPattern: one.process))
                    sights[index][number: "method"] = UInt64(one.method)
                    sights[index][number: "signal"] = UInt64(one.signal)
                }
                let hasMessages = sights[index].isRemoved && state.messages > 0
                if hasMessages || state.notification != nil { lookInside(&sights[index], hasMessages: hasMessages, tellsThread: state.notification?.method == SignalEvent.SIGEV_THREAD, &tree) }
            } catch { sights[index].fail(error) }
        }
    }

    private static func lookInside(_ sight: inout OpenFileSight, hasMessages: Bool, tellsThread: Bool, _ tree: inout TreeLook) {
        do throws(SystemError) {
            let contents = try tree.kernelReader().queueContents(
                of: sight.holder.rawValue, descriptor: sight.number, hasMessages: hasMessages, tellsThread: tellsThread)
            sight[number: "value"] = contents.value
            if contents.socket != 0 {
                sight[number: "tellingSocket"] = contents.socket
                sight.details["cookie"] = RawText(contents.cookie)
            }
            for (place, message) in contents.messages.enumerated() {
                sight.details["text\(place)"] = RawText(message.text)
                sight[number: "priority\(place)"] = UInt64(message.priority)
            }
        } catch { sight.details["unseen"] = RawText(error.name) }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        let name = sight.target.shown
        guard let most = sight[number: "most"], let longest = sight[number: "longest"], let messages = sight[number: "messages"] else {
            return .refused("is the POSIX message queue \(name), which cannot be looked into: \(sight.failure?.errno ?? "")", help: "mq_close it before the checkpoint")
        }
        var object = ImageQueueFile()
        object.name = Array(sight.target.bytes.dropFirst()).asData
        object.mostMessages = most
        object.longestMessage = longest
        object.messages = messages
        object.mode = sight.status.mode & 0o777
        object.owner = sight.status.owner
        object.group = sight.status.group
        // All open files of the queue.
        let same = recorder.sight.files.indices.filter { claims(recorder.sight.files[$0]) && recorder.sight.files[$0].status.isSameFile(as: sight.status) }
        if sight.isRemoved {
            object.removed = UInt32((same.first ?? id - 1) + 1)
            let contents = contents(of: sight)
            guard contents.count == messages else {
                return .refused(
                    "is the POSIX message queue \(name), whose name has been removed (mq_unlink), with \(messages) messages that cannot be seen: \(sight.details["unseen"]?.shown ?? "EAGAIN")",
                    help: "be root: CAP_BPF and CAP_PERFMON are needed to look; or checkpoint when the program has received them")
            }
            if same.first == id - 1 { object.contents = contents }
            object.messages = UInt64(object.contents.count)
        } else if messages > 0 {
            recorder.notice("\(messages) message\(messages == 1 ? " stays" : "s stay") in the POSIX message queue \(name) and \(messages == 1 ? "is" : "are") not in the image: they can only be looked at by taking them")
        }
        guard let pid = sight[number: "notified"].map({ HostPid(Int32(truncatingIfNeeded: $0)) }) else { return .object(.queue(object)) }
        guard let process = recorder.numbers.process(pid) else {
            // As long as the queue has its name, that is not the tree's.
            if !sight.isRemoved { return .object(.queue(object)) }
            return .refused("is the POSIX message queue \(name), whose name has been removed (mq_unlink), and which tells process \(pid.rawValue) outside of the tree of the next message", help: "mq_close it before the checkpoint")
        }
        let first = same.first { index in recorder.places[index].contains { $0.process == pid } }
        if first != nil && first != id - 1 { return .object(.queue(object)) }
        guard first != nil, let notification = notification(of: sight, to: pid, process, recorder) else {
            return .refused(
                "is the POSIX message queue \(name), which tells process \(pid.rawValue) of the next message (mq_notify), and how it does cannot be seen: \(sight.details["unseen"]?.shown ?? "ENOENT")",
                help: "be root: CAP_BPF and CAP_PERFMON are needed to look; or let the program take that back: mq_notify with a null pointer")
        }
        object.notification = notification
        return .object(.queue(object))
    }

    private static func contents(of sight: OpenFileSight) -> [ImageQueueMessage] {
        var contents: [ImageQueueMessage] = []
        while let text = sight.details["text\(contents.count)"] {
            var message = ImageQueueMessage()
            message.priority = UInt32(truncatingIfNeeded: sight[number: "priority\(contents.count)"] ?? 0)
            message.text = text.bytes.asData
            contents.append(message)
        }
        return contents
    }

    /// - Returns: nil: it could not be seen.
    private static func notification(of sight: OpenFileSight, to pid: HostPid, _ process: UInt32, _ recorder: FileRecorder) -> ImageQueueNotification? {
        var one = ImageQueueNotification()
        one.process = process
        one.method = UInt32(truncatingIfNeeded: sight[number: "method"] ?? 0)
        switch one.method {
        case SignalEvent.SIGEV_SIGNAL:
            guard let value = sight[number: "value"] else { return nil }
            one.signal = UInt32(truncatingIfNeeded: sight[number: "signal"] ?? 0)
            one.value = value
        case SignalEvent.SIGEV_THREAD:
            guard let cookie = sight.details["cookie"]?.bytes, let inode = sight[number: "tellingSocket"], let socket = recorder.sockets[inode],
                let place = recorder.places[socket].first(where: { $0.process == pid })
            else { return nil }
            one.cookie = cookie.asData
            one.descriptor = UInt32(bitPattern: place.number)
        default: break
        }
        return one
    }
}
