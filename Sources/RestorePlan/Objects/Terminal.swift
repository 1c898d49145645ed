import CheckpointImage
import LinuxABI
import PidControl
import StepProgram

/// Ptys whose master the tree holds. Before the fork crrestart makes them, with their settings and what waits in them: the tasks
/// inherit both ends, and open the slave anew for each open file of it.
enum TerminalPlan: ObjectPlan {
    static func make(_ bundle: [PlannedFile<ImageTerminalEnd>], _ program: inout Program, _ builder: inout PlanBuilder) {
        guard let id = bundle.first?.state.terminal, let terminal = builder.image.terminal(id),
            let place = builder.image.place(ofTerminal: id)
        else { return }
        let (master, slave) = (builder.high.terminal(place), builder.high.terminalSlave(place))
        for end in bundle where !end.state.master {
            let flags = end.file.flags & (OpenFlag.O_ACCMODE | OpenFlag.O_NONBLOCK | OpenFlag.O_APPEND)
            let opened = program.call(
                .ioctl,
                [
                    .number(master), .value(Ioctl.TIOCGPTPEER),
                    .value(UInt64(flags) | PlanBuilder.cloexec | UInt64(OpenFlag.O_NOCTTY)),
                ], builder.note(end.file))
            builder.settle(&program, opened, as: end.number)
        }
        for end in bundle where end.state.master {
            program.call(
                .dup3, [.number(master), .number(end.number), .value(PlanBuilder.cloexec)], check: .equals(Int64(end.number)),
                builder.note(end.file))
            let flags = end.file.flags & (OpenFlag.O_NONBLOCK | OpenFlag.O_APPEND)
            program.call(.fcntl, [.number(end.number), .value(Fcntl.F_SETFL), .number(flags)], "status flags")
        }
        if terminal.exclusive { program.call(.ioctl, [.number(slave), .value(Ioctl.TIOCEXCL), 0], "cannot be opened any more") }
        if terminal.locked {
            let yes = builder.data([1, 0, 0, 0])
            program.call(.ioctl, [.number(master), .value(Ioctl.TIOCSPTLCK), yes], "the slave is locked")
        }
    }
}

extension PlanBuilder {
    /// Where the terminal of a session is while the tree is built; nil: the session has none.
    private func terminal(ofSession leader: UInt32) -> (record: ImageTerminal, number: UInt32)? {
        guard let record = image.terminals.first(where: { $0.session == leader && leader != 0 }),
            let place = image.place(ofTerminal: record.id)
        else { return nil }
        if !record.outside { return record.settings.isEmpty || record.slaveUnused ? nil : (record, high.terminalSlave(place)) }
        guard facts.terminalIsFresh, let number = facts.terminal else { return nil }
        return (record, high.standard(number))
    }

    /// Gives a new session its controlling terminal. Comes before the leader creates processes of the session: they inherit it.
    ///
    /// - Source: ioctl_tty(2), TIOCSCTTY.
    func takeTerminal(_ program: inout Program, session leader: UInt32) {
        guard let terminal = terminal(ofSession: leader) else { return }
        program.call(.ioctl, [.number(terminal.number), .value(Ioctl.TIOCSCTTY), 0], "controlling terminal")
    }

    /// Whether other tasks wait until a process group exists, to put it into the foreground.
    func becomesForeground(_ group: UInt32) -> Bool {
        image.terminals.contains { $0.foreground == group && terminal(ofSession: $0.session) != nil }
    }

    /// Puts the right process group into the foreground of a session's terminal.
    ///
    /// - Preconditions: SIGTTOU is blocked; the process has created its children.
    mutating func setForeground(_ program: inout Program, session leader: UInt32) {
        guard let terminal = terminal(ofSession: leader), terminal.record.foreground != 0,
            let group = valid.creation.number(of: terminal.record.foreground, seenBy: leader)
        else { return }
        let number = terminal.record.foreground
        if number != leader { program.wait(for: word(.made(group: number)), toReach: 1, "until process group \(number) exists") }
        var bytes: [UInt8] = []
        bytes.append(littleEndian32: group)
        program.call(.ioctl, [.number(terminal.number), .value(Ioctl.TIOCSPGRP), data(bytes)], "process group \(number) in the foreground")
    }
}
