import CheckpointImage
import LinuxABI
import StepProgram

/// POSIX message queues that have lost their name, and who is told of the next message.
enum QueueMaker {
    /// Makes a queue under a name of its own, which goes at once, fills it, and opens it as often as the tree has it open.
    static func make(_ bundle: [PlannedFile<ImageQueueFile>], like queue: ImageQueueFile, _ program: inout Program, _ builder: inout PlanBuilder) {
        guard let first = bundle.first else { return }
        let note = builder.note(first.file)
        let name = builder.path(Array("treerestore-\(builder.image.header.root)-\(queue.removed)".utf8))
        // struct mq_attr: flags, maxmsg, msgsize, curmsgs, four reserved
        let attributes = builder.launchpad.add(words: [0, queue.mostMessages, queue.longestMessage, 0, 0, 0, 0, 0])
        let flags = UInt64(OpenFlag.O_CREAT | OpenFlag.O_EXCL | OpenFlag.O_RDWR | OpenFlag.O_NONBLOCK) | PlanBuilder.cloexec
        let made = program.call(.mq_open, [name, .value(flags), 0o600, .value(attributes)], note)
        program.call(.mq_unlink, [name], "its name")
        let scratch = builder.scratchDescriptor
        builder.settle(&program, made, as: scratch)
        for message in bundle.flatMap(\.state.contents) {
            let bytes = message.text.asBytes
            let text = builder.launchpad.add(bytes.isEmpty ? [0] : bytes)
            program.call(
                .mq_timedsend, [.number(scratch), .value(text), .number(bytes.count), .number(message.priority), 0], "\(byteCount(UInt64(bytes.count))) wait in \(note)")
        }
        let place = Array("/proc/self/fd/\(scratch)".utf8)
        for file in bundle {
            let flags = UInt64(file.file.flags & (OpenFlag.O_ACCMODE | OpenFlag.O_NONBLOCK)) | PlanBuilder.cloexec
            builder.settle(&program, program.call(.openat, [.value(At.AT_FDCWD), builder.path(place), .value(flags), 0], note), as: file.number)
        }
        program.call(.fchown, [.number(scratch), .number(queue.owner), .number(queue.group)], check: .none, "its owner")
        program.call(.fchmod, [.number(scratch), .number(queue.mode)], "its permissions")
        program.call(.close, [.number(scratch)])
    }

    /// By process: the open queues that it has asked to be told of.
    static func notifying(_ files: [ImageOpenFile]) -> [UInt32: [ImageOpenFile]] {
        var found: [UInt32: [ImageOpenFile]] = [:]
        for file in files {
            if case .queue(let queue)? = file.object, queue.hasNotification { found[queue.notification.process, default: []].append(file) }
        }
        return found
    }

    /// mq_notify(3), by the process itself. A process that closes any descriptor of a queue is not told any more, so this comes when its
    /// descriptors are where the program had them.
    ///
    /// - Parameter numbers: a descriptor of each file that it has.
    static func notify(_ program: inout Program, _ pid: UInt32, _ numbers: [UInt32: UInt32], _ builder: inout PlanBuilder) {
        for file in builder.notifyingQueues[pid] ?? [] {
            guard case .queue(let queue)? = file.object, let number = numbers[file.id] else { continue }
            let one = queue.notification
            let isThread = one.method == SignalEvent.SIGEV_THREAD
            let value = isThread ? builder.launchpad.add(one.cookie.asBytes) : one.value
            var event: [UInt8] = []
            // struct sigevent: the value, the signal or the socket, the method; 64 bytes in all
            event.append(littleEndian: value)
            event.append(littleEndian32: isThread ? one.descriptor : one.signal)
            event.append(littleEndian32: one.method)
            event += [UInt8](repeating: 0, count: 64 - event.count)
            program.call(.mq_notify, [.number(number), .value(builder.launchpad.add(event))], "\(builder.note(file))")
        }
    }
}
