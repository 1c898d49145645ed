import CheckpointImage
import StepProgram

/// epoll_create(2): made like every open file; one of its holders makes the registrations.
extension PlanBuilder {
    func makeEpoll(_ program: inout Program, _ file: ImageOpenFile, as number: UInt32) {
        let made = program.call(.epoll_create1, [.value(Self.cloexec)], note(file))
        settle(&program, made, as: number)
        let flags = UInt64(file.flags) & Self.nonblock
        if flags != 0 { program.call(.fcntl, [.number(number), 4, .value(flags)], "status flags") }
    }

    /// Registers every file under the number it had then, whatever that number leads to in the end.
    ///
    /// - Preconditions: all that is watched stands at its high number, and the low numbers are free.
    /// - Source: epoll(7): a registration is told apart by the number and the open file, and lasts as long as
    ///   the open file.
    mutating func watch(_ program: inout Program, _ epoll: ImageOpenFile) {
        guard let number = files.number[epoll.id] else { return }
        for one in epoll.epoll.registrations {
            guard let file = image.openFile(one.file) else { continue }
            program.call(
                .dup3, [.number(place(of: file, for: one.number)), .number(one.number), .value(Self.cloexec)],
                check: .equals(Int64(one.number)), note(file))
            program.call(
                .epoll_ctl, [.number(number), 1, .number(one.number), data(event(one))],
                "\(note(epoll)) watches \(one.number)")
            program.call(.close, [.number(one.number)])
        }
    }

    /// `struct epoll_event`: packed on x86 alone. Source: epoll_ctl(2), uapi/linux/eventpoll.h.
    private func event(_ one: ImageRegistration) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian32: one.events)
        if facts.architecture != "x86_64" { bytes.append(littleEndian32: 0) }
        bytes.append(littleEndian: one.data)
        return bytes
    }
}

extension ValidImage {
    /// What stands in for something outside has to be of a kind that an epoll can watch.
    static func checkEpolls(
        _ image: CheckpointImage, _ facts: HostFacts, _ find: (String, String, String) -> Void
    ) {
        for epoll in image.openFiles where epoll.kind == .epoll {
            for one in epoll.epoll.registrations {
                guard let file = image.openFile(one.file), file.kind == .outside else { continue }
                let standIn = file.standIn(for: one.number, facts)
                if facts.watchable[Int(standIn)] { continue }
                find(
                    "epoll \(epoll.id)",
                    "watches \(file.description_p.asText), and descriptor \(standIn) of crrestart, which stands in, cannot be watched",
                    "make it a pipe or a terminal, not a file")
            }
        }
    }
}
