import CheckpointImage
import LinuxABI
import StepProgram

/// inotify_init(2). It is made like every open file; in `connect` one of its holders adds the watches, each under its number.
/// Events of the restart itself, which opens files, are read away before the program goes on. One in which events wait is
/// made by crrestart before the fork, with these events behind others that fill the queue: see `InotifyQueuePlan`.
enum InotifyPlan: ObjectPlan {
    static func check(_ file: PlannedFile<ImageInotify>, _ host: ObjectHost, _ findings: inout HostFindings) {
        if !host.facts.mayNumberWatches && !file.state.watches.isEmpty {
            findings.find(
                "inotify", "this kernel does not let the numbers of watches be chosen",
                help: "a kernel with CONFIG_CHECKPOINT_RESTORE is needed")
        }
        if !file.state.events.isEmpty {
            let most = host.facts.mostQueuedEvents
            if !host.facts.mayMakeNamespaces {
                findings.find(
                    "inotify", "\(file.state.events.count) events that the program has not read cannot be made again: EPERM", help: "CAP_SYS_ADMIN is needed: be root")
            } else if InotifyQueuePlan(file.state, most: most) == nil {
                findings.find(
                    "inotify", "\(file.state.events.count) events that the program has not read do not go into a queue of \(most)",
                    help: "sysctl fs.inotify.max_queued_events=\(max(16384, file.state.events.count + 2)), for the time of the restart")
            }
        }
        for watch in file.state.watches where watch.openFile == 0 {
            FileCheck(host.facts).checkOpen(watch.file, host.holders.request(file.file, watch.file), by: host.place(of: file.file), &findings)
        }
    }

    /// It does not wait until its events have been read away, whatever the program wants.
    static func make(_ bundle: [PlannedFile<ImageInotify>], _ program: inout Program, _ builder: inout PlanBuilder) {
        let prepared = builder.image.inotifiesWithEvents
        for file in bundle {
            if let place = prepared.firstIndex(of: file.file.id) {
                program.call(
                    .dup3, [.number(builder.high.inotify(place)), .number(file.number), .value(PlanBuilder.cloexec)], check: .equals(Int64(file.number)),
                    builder.note(file.file))
                continue
            }
            let made = program.call(.inotify_init1, [.value(PlanBuilder.cloexec | PlanBuilder.nonblock)], builder.note(file.file))
            builder.settle(&program, made, as: file.number)
        }
    }

    /// - Source: linux/inotify.h, INOTIFY_IOC_SETNEXTWD.
    static func connect(_ file: PlannedFile<ImageInotify>, _ program: inout Program, _ builder: inout PlanBuilder) {
        // One that crrestart has made has had other watches.
        var next: Int32? = file.state.events.isEmpty ? 1 : nil
        func choose(_ number: Int32) {
            if number == next { return }
            program.call(.ioctl, [.number(file.number), .value(Ioctl.INOTIFY_IOC_SETNEXTWD), .number(number)], "the next watch is \(number)")
        }
        for watch in file.state.watches {
            choose(watch.number)
            add(watch, to: file, &program, &builder)
            next = watch.number == .max ? 1 : watch.number + 1
        }
        // The number of a watch that is gone does not come again soon.
        if let highest = file.state.events.map(\.watch).max(), highest > file.state.watches.last?.number ?? 0, highest < .max { choose(highest + 1) }
    }

    private static func add(
        _ watch: ImageWatch, to file: PlannedFile<ImageInotify>, _ program: inout Program, _ builder: inout PlanBuilder
    ) {
        let note = "\(watch.number) watches \(watch.name(in: builder.image))"
        if watch.openFile != 0 {
            guard let other = builder.image.openFile(watch.openFile) else { return }
            let name = builder.path(Array("/proc/self/fd/\(builder.place(of: other, for: 0))".utf8))
            program.call(.inotify_add_watch, [.number(file.number), name, .number(watch.mask)], check: .equals(Int64(watch.number)), note)
            return
        }
        let request = builder.holders.request(file.file, watch.file)
        let opened = builder.open(&program, request, flags: UInt64(OpenFlag.O_PATH))
        let scratch = builder.scratchDescriptor
        program.call(.dup3, [.result(of: opened), .number(scratch), .value(PlanBuilder.cloexec)])
        program.call(.close, [.result(of: opened)])
        // To watch a file takes the right to read it.
        let rights = builder.facts.door(request) == .asHolder ? request.rights : FileRights(builder.facts.ownCredentials)
        builder.takeRights(&program, rights)
        let name = builder.path(Array("/proc/self/fd/\(scratch)".utf8))
        program.call(.inotify_add_watch, [.number(file.number), name, .number(watch.mask)], check: .equals(Int64(watch.number)), note)
        builder.giveBackRights(&program, rights)
        program.call(.close, [.number(scratch)])
    }

    /// Bytes that one read takes, and of the longest event.
    private static let room = 65536
    private static let longestEvent = 272

    static func go(_ file: PlannedFile<ImageInotify>, at number: UInt32, _ program: inout Program, _ builder: inout PlanBuilder) {
        if let queue = file.state.events.isEmpty ? nil : InotifyQueuePlan(file.state, most: builder.facts.mostQueuedEvents) {
            // The queue was full meanwhile: nothing of the restart itself is in it.
            let room = builder.room(room)
            for start in stride(from: 0, to: queue.front, by: Self.room) {
                let count = min(Self.room, queue.front - start)
                builder.readAway(&program, number, room, count, check: .equals(Int64(count)), "events that filled the queue")
            }
        } else if !file.state.watches.isEmpty {
            // Each file of the tree is opened, read and closed at most once, and a few of the host besides.
            let mapped = builder.image.addressSpaces.reduce(0) { $0 + $1.mappings.count { $0.kind == .file } }
            let events = (builder.image.openFiles.count + mapped + builder.image.processes.count * 8) * 4
            let room = builder.room(room)
            for _ in 0...events * longestEvent / Self.room {
                builder.readAway(&program, number, room, Self.room, check: .none, "events of the restart itself")
            }
        }
        let flags = UInt64(file.file.flags) & PlanBuilder.nonblock
        program.call(.fcntl, [.number(number), .value(Fcntl.F_SETFL), .value(flags)], "status flags")
    }
}
