import CheckpointImage
import LinuxABI
import PidControl
import StepProgram

/// Files that cannot be made before another process exists: see `ObjectGraph`.
///
/// Every process does this after it has created its children, and makes its own files before it waits for those of others:
/// so no two of them wait for each other.
extension PlanBuilder {
    mutating func makeLateFiles(_ program: inout Program, _ pid: UInt32) {
        for file in (graph.late[pid] ?? []).compactMap({ image.openFile($0) }) {
            if let awaited = file.saved?.awaited {
                program.wait(for: word(.exists(awaited)), toReach: 1, "until \(awaited) exists")
            }
            ObjectPlans.make([file], &program, &self)
            if fetchers(of: file.id) > 0 { program.advance(word(.opened(file.id)), "\(note(file)) is open") }
        }
        for fetch in graph.fetched[pid] ?? [] {
            guard let file = image.openFile(fetch.file), let number = graph.number[fetch.file] else { continue }
            program.wait(for: word(.opened(fetch.file)), toReach: 1, "until \(fetch.maker) has opened \(note(file))")
            let seen = valid.creation.number(of: fetch.maker, seenBy: pid) ?? 0
            let maker = program.call(.pidfd_open, [.number(seen), 0], "process \(fetch.maker)")
            let copy = program.call(.pidfd_getfd, [.result(of: maker), .number(number), 0], note(file))
            settle(&program, copy, as: number)
            program.call(.close, [.result(of: maker)])
            program.advance(word(.fetched(fetch.file)), "has got it")
        }
    }

    /// Reads at the position of a file and forgets what that gives. The call read(2) has the number that ends a program of steps.
    mutating func readAway(_ program: inout Program, _ number: UInt32, _ room: UInt64, _ count: Int, check: Step.Check = .noError, _ note: String) {
        let vector = launchpad.add(words: [room, UInt64(count)])
        program.call(.readv, [.number(number), .value(vector), 1], check: check, note)
    }

    /// Puts a file that is made last to all numbers of the table that has it.
    mutating func putToAllNumbers(_ program: inout Program, _ file: ImageOpenFile, from scratch: UInt32) {
        for table in image.fileTables {
            for descriptor in table.descriptors where descriptor.file == file.id {
                program.call(
                    .dup3, [.number(scratch), .number(descriptor.number), descriptor.closeOnExec ? .value(Self.cloexec) : 0],
                    check: .equals(Int64(descriptor.number)), note(file))
            }
        }
        program.call(.close, [.number(scratch)])
    }

    /// Keeps high descriptors open until all other holders have got the files from there.
    mutating func awaitFetchers(_ program: inout Program, _ pid: UInt32) {
        for file in graph.late[pid] ?? [] where fetchers(of: file) > 0 {
            program.wait(for: word(.fetched(file)), toReach: fetchers(of: file), "until all holders have open file \(file)")
        }
    }

    /// The thread that gets the signals of a file; nil where that is a process or a group.
    func ownerThread(of file: ImageOpenFile) -> ImageThread? {
        guard file.hasOwner, file.owner.type == UInt32(Fcntl.F_OWNER_TID) else { return nil }
        return image.thread(file.owner.number)
    }

    private func fetchers(of file: UInt32) -> UInt32 { UInt32(graph.fetchers[file] ?? 0) }

    /// Says who gets the signals of an open file, and switches them on (O_ASYNC). Comes after the credentials of the
    /// process: the kernel notes in whose name the signals are sent.
    ///
    /// - Source: fcntl(2), `F_SETOWN_EX`, `F_SETSIG`; fs/fcntl.c, `f_setown_ex`, `sigio_perm`.
    mutating func setOwner(_ program: inout Program, of file: ImageOpenFile, at number: UInt32, by pid: UInt32) {
        if let thread = ownerThread(of: file), thread.process != pid { return }
        if file.hasOwner {
            let owner = file.owner.number
            let seen = valid.creation.number(of: owner, seenBy: pid) ?? owner
            // struct f_owner_ex: two 32-bit numbers
            let words = launchpad.add(words: [UInt64(file.owner.type) | UInt64(seen) << 32])
            program.call(
                .fcntl, [.number(number), .value(Fcntl.F_SETOWN_EX), .value(words)], "signals of \(note(file)) go to \(owner)")
        }
        if file.ownerSignal != 0 { program.call(.fcntl, [.number(number), .value(Fcntl.F_SETSIG), .number(file.ownerSignal)], "F_SETSIG") }
        guard file.flags & OpenFlag.FASYNC != 0 else { return }
        let settable = OpenFlag.O_APPEND | OpenFlag.O_NONBLOCK | OpenFlag.O_DIRECT | OpenFlag.O_NOATIME | OpenFlag.FASYNC
        program.call(.fcntl, [.number(number), .value(Fcntl.F_SETFL), .number(file.flags & settable)], "O_ASYNC")
    }
}
