import CheckpointImage
import LinuxABI
import StepProgram

/// epoll_create(2). It is made like every open file; in `connect` one of its holders makes the registrations.
enum EpollPlan: ObjectPlan {
    /// If it watches an object outside of the tree, the descriptor of crrestart that replaces it must be one that an epoll
    /// can watch.
    static func check(_ epoll: PlannedFile<ImageEpoll>, _ host: ObjectHost, _ findings: inout HostFindings) {
        for one in epoll.state.registrations {
            guard let file = host.image.openFile(one.file), let standIn = ObjectPlans.standIn(file, for: one.number, host.facts),
                !host.facts.watchable[Int(standIn)]
            else { continue }
            findings.find(
                "epoll \(epoll.file.id)",
                "watches \(file.summary(in: host.image)), and descriptor \(standIn) of crrestart, which stands in, cannot be watched",
                help: "make it a pipe or a terminal, not a file")
        }
    }

    static func make(_ bundle: [PlannedFile<ImageEpoll>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for epoll in bundle {
            let made = program.call(.epoll_create1, [.value(PlanBuilder.cloexec)], builder.note(epoll.file))
            builder.settle(&program, made, as: epoll.number)
            let flags = UInt64(epoll.file.flags) & PlanBuilder.nonblock
            if flags != 0 { program.call(.fcntl, [.number(epoll.number), .value(Fcntl.F_SETFL), .value(flags)], "status flags") }
        }
    }

    /// Registers every file by the descriptor by which it was registered before. The program can have closed or reused this
    /// descriptor since.
    ///
    /// - Source: epoll(7): the key of a registration is the descriptor and the open file; it lasts as long as the open file.
    static func connect(_ epoll: PlannedFile<ImageEpoll>, _ program: inout Program, _ builder: inout PlanBuilder) {
        for one in epoll.state.registrations {
            guard let file = builder.image.openFile(one.file) else { continue }
            program.call(
                .dup3, [.number(builder.place(of: file, for: one.number)), .number(one.number), .value(PlanBuilder.cloexec)],
                check: .equals(Int64(one.number)), builder.note(file))
            let event = builder.data(bytes(of: one, architecture: builder.facts.architecture))
            program.call(
                .epoll_ctl, [.number(epoll.number), .value(Epoll.EPOLL_CTL_ADD), .number(one.number), event],
                "\(builder.note(epoll.file)) watches \(one.number)")
            program.call(.close, [.number(one.number)])
        }
    }

    /// `struct epoll_event`: packed on x86 alone. Source: epoll_ctl(2), uapi/linux/eventpoll.h.
    private static func bytes(of one: ImageRegistration, architecture: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian32: one.events)
        if architecture != "x86_64" { bytes.append(littleEndian32: 0) }
        bytes.append(littleEndian: one.data)
        return bytes
    }
}
