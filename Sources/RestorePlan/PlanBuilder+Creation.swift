import CheckpointImage
import LinuxABI
import StepProgram

extension PlanBuilder {
    static let userEnd: UInt64 = 0x7fff_ffff_f000

    /// Steps of the root only, which begins as a copy of the tool's inner half.
    mutating func enter(_ program: inout Program) {
        if facts.ownRseq.size != 0 {
            // Must be the first step: the kernel kills a task whose registered rseq area is unmapped.
            program.call(
                .rseq, [.value(facts.ownRseq.address), .number(facts.ownRseq.size), 1, .number(facts.ownRseq.signature)],
                check: .none, "unregister restartable sequences of crrestart")
        }
        close(&program, high.others + [high.above].compactMap { $0 }, "drop descriptors of crrestart")
        // Removes the alternate stack of the Swift runtime's backtracer: a handler with SA_ONSTACK would run on it.
        let disabled = launchpad.add(words: [0, UInt64(AlternateStack.SS_DISABLE), 0])
        program.call(.sigaltstack, [.value(disabled), 0], "no alternate signal stack")
        let standard = data([UInt8](repeating: 0, count: 32))
        for signal in 1...Signal.SIGRTMAX where signal != Signal.SIGKILL && signal != Signal.SIGSTOP {
            program.call(.rt_sigaction, [.number(signal), standard, 0, 8], check: .none, "default action")
        }
    }

    /// Creates a thread of this process.
    mutating func createThread(_ program: inout Program, _ index: Int) {
        var flags =
            CloneFlag.CLONE_VM | CloneFlag.CLONE_SIGHAND | CloneFlag.CLONE_THREAD | CloneFlag.CLONE_SYSVSEM
        if !threadCreation.begins(.directories, tasks[index].tid) { flags |= CloneFlag.CLONE_FS }
        if !threadCreation.begins(.files, tasks[index].tid) { flags |= CloneFlag.CLONE_FILES }
        clone(
            &program, index, numbers: tasks[index].numbers, seenAs: tasks[index].numbers.last ?? 0, tasks[index].title,
            flags: flags, exitSignal: 0)
    }

    /// - Parameters:
    ///   - index: of the program and slot that the new task gets.
    ///   - other: of its program, where that is another.
    ///   - numbers: its own, from the pid namespace of the root inwards.
    ///   - seen: its number in the pid namespace of its creator, which `clone` returns.
    mutating func clone(
        _ program: inout Program, _ index: Int, program other: Int? = nil, numbers: [UInt32], seenAs seen: UInt32, _ title: String, flags: UInt64,
        exitSignal: UInt64
    ) {
        if valid.usesLastPid {
            // A task has one number only: images with nested pid namespaces have been refused.
            return cloneByLastPid(&program, index, tid: seen, title, flags: flags | exitSignal)
        }
        var list: [UInt8] = []
        // clone3 wants the innermost number first.
        for number in numbers.reversed() { list.append(littleEndian32: number) }
        let set = launchpad.add(list)
        // Unlike clone, clone3 takes no number above 64. None means the same: the parent gets no signal.
        let exitSignal = exitSignal > 64 ? 0 : exitSignal
        // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
        // set_tid, set_tid_size, cgroup
        let arguments = launchpad.add(words: [flags, 0, 0, 0, exitSignal, 0, 0, 0, set, UInt64(numbers.count), 0])
        program.call(
            .clone3, [.value(arguments), 88, 0, 0, .slot(index), .program(other ?? index)], check: .equals(Int64(seen)),
            title)
    }
}
