import CheckpointImage
import StepProgram

extension PlanBuilder {
    static let userEnd: UInt64 = 0x7fff_ffff_f000

    /// What only the root has to do: it is born as a copy of the tool's inner half.
    mutating func enter(_ program: inout Program) {
        if facts.ownRseq.size != 0 {
            // First of all: an area that is registered and unmapped kills at the next return from the kernel.
            program.call(
                .rseq, [.value(facts.ownRseq.address), .number(facts.ownRseq.size), 1, .number(facts.ownRseq.signature)],
                check: .none, "unregister restartable sequences of crrestart")
        }
        program.call(.close_range, [0, .number(high.base - 1), 0], "drop descriptors of crrestart")
        // The Swift runtime's backtracer has one, and a handler with SA_ONSTACK would run on it.
        let disabled = launchpad.add(words: [0, 2, 0])
        program.call(.sigaltstack, [.value(disabled), 0], "no alternate signal stack")
        let standard = data([UInt8](repeating: 0, count: 32))
        for signal in 1...64 where signal != 9 && signal != 19 {
            program.call(.rt_sigaction, [.number(signal), standard, 0, 8], check: .none, "default action")
        }
    }

    /// A thread of this process.
    mutating func createThread(_ program: inout Program, _ index: Int) {
        // CLONE_VM|FILES|SIGHAND|THREAD|SYSVSEM, CLONE_FS
        let directories: UInt64 = beginsDirectories(index) ? 0 : 0x200
        clone(
            &program, index, numbers: tasks[index].numbers, seenAs: tasks[index].numbers.last ?? 0, tasks[index].title,
            flags: 0x100 | directories | 0x400 | 0x800 | 0x10000 | 0x40000, exitSignal: 0)
    }

    /// - Parameters:
    ///   - index: of the program and slot that the new task gets.
    ///   - numbers: its own, from the pid namespace of the root inwards.
    ///   - seen: the one that its creator sees.
    mutating func clone(
        _ program: inout Program, _ index: Int, numbers: [UInt32], seenAs seen: UInt32, _ title: String, flags: UInt64,
        exitSignal: UInt64
    ) {
        if valid.usesLastPid {
            // There are no nested namespaces then.
            return cloneByLastPid(&program, index, tid: seen, title, flags: flags | exitSignal)
        }
        var list: [UInt8] = []
        // clone3 wants the innermost number first.
        for number in numbers.reversed() { list.append(littleEndian32: number) }
        let set = launchpad.add(list)
        // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
        // set_tid, set_tid_size, cgroup
        let arguments = launchpad.add(words: [flags, 0, 0, 0, exitSignal, 0, 0, 0, set, UInt64(numbers.count), 0])
        program.call(
            .clone3, [.value(arguments), 88, 0, 0, .slot(index), .program(index)], check: .equals(Int64(seen)),
            title)
    }
}
