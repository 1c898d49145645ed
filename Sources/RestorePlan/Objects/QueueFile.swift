package import CheckpointImage
import LinuxABI
import StepProgram

/// Asks for a POSIX message queue in the name of a task.
package struct QueueRequest: Hashable, Sendable {
    package var name: [UInt8]
    /// O_RDONLY, O_WRONLY or O_RDWR.
    package var access: UInt32
    package var rights: FileRights
}

/// A POSIX message queue of this host.
package enum QueueAnswer: Sendable, Equatable {
    case missing
    case refused(errno: String)
    case found(mostMessages: UInt64, longestMessage: UInt64)
}

extension HostFacts {
    /// Which queues the image wants.
    package func queueRequests(of image: CheckpointImage) -> Set<QueueRequest> {
        let holders = FileHolders(image, self)
        return Set(
            image.openFiles.compactMap { file in
                guard case .queue(let queue)? = file.object, queue.removed == 0 else { return nil }
                return QueueFilePlan.request(queue, file, holders)
            })
    }
}

/// mq_open(3). A queue that still exists is used as it is; one that does not is made by crrestart before there is a tree. One that had lost
/// its name is made by steps: see ``QueueMaker``.
enum QueueFilePlan: ObjectPlan {
    static func request(_ queue: ImageQueueFile, _ file: ImageOpenFile, _ holders: FileHolders) -> QueueRequest {
        QueueRequest(name: queue.name.asBytes, access: file.flags & OpenFlag.O_ACCMODE, rights: holders.rights(of: file))
    }

    static func check(_ file: PlannedFile<ImageQueueFile>, _ host: ObjectHost, _ findings: inout HostFindings) {
        if file.state.removed != 0 { return }
        let queue = file.state
        let name = file.file.summary(in: host.image)
        switch host.facts.queues[request(queue, file.file, host.holders)] {
        case nil: return
        case .missing?:
            if queue.messages > 0 {
                findings.find(name, "is gone, with the \(queue.messages) messages that were in it", help: "another boot does not have them: end the program before the host")
            }
        case .refused(let errno)?: findings.find(name, "\(errno), needed by \(host.place(of: file.file))", help: "let its user open it, or mq_unlink it")
        case .found(let most, let longest)?:
            if most != queue.mostMessages || longest != queue.longestMessage {
                findings.find(name, "holds \(most) messages of \(longest) bytes here, not \(queue.mostMessages) of \(queue.longestMessage)", help: "mq_unlink removes that one")
            }
        }
    }

    static func make(_ bundle: [PlannedFile<ImageQueueFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        if let first = bundle.first, first.state.removed != 0 { return QueueMaker.make(bundle, like: first.state, &program, &builder) }
        for file in bundle {
            let request = request(file.state, file.file, builder.holders)
            // What crrestart has made anybody may have.
            let own = FileRights(builder.facts.ownCredentials)
            let rights = builder.facts.queues[request] == .missing ? own : request.rights
            let flags = UInt64(request.access | file.file.flags & OpenFlag.O_NONBLOCK) | PlanBuilder.cloexec
            builder.takeRights(&program, rights)
            let opened = program.call(.mq_open, [builder.path(request.name), .value(flags), 0, 0], builder.note(file.file))
            builder.giveBackRights(&program, rights)
            builder.settle(&program, opened, as: file.number)
        }
    }

    /// Those that have to be made, each once.
    static func missing(_ image: CheckpointImage, _ facts: HostFacts) -> [ImageQueueFile] {
        let holders = FileHolders(image, facts)
        var seen: Set<[UInt8]> = []
        return image.openFiles.compactMap { file in
            guard case .queue(let queue)? = file.object, queue.removed == 0, facts.queues[request(queue, file, holders)] == .missing,
                seen.insert(queue.name.asBytes).inserted
            else { return nil }
            return queue
        }
    }
}
