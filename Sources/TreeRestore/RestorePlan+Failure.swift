internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// What the status slots of the launchpad tell about a task: where it is, and why it failed.
extension RestorePlan {
    /// The step that a task is at. Nil before its first one.
    func currentStep(of index: Int, _ memory: borrowing SharedMemory) -> (program: Int, number: Int, step: Step)? {
        layout.locate(stepAt: memory.load64(launchpad.slotAddress(index))).map {
            ($0.program, $0.step, launchpad.programs[$0.program].steps[$0.step])
        }
    }

    /// The same in words.
    func placeInWords(of index: Int, _ memory: borrowing SharedMemory) -> String? {
        currentStep(of: index, memory).map { "step \($0.number), \(line(of: $0.number, in: $0.program))" }
    }

    /// Whether the check of one of its steps failed.
    func hasFailed(_ index: Int, _ memory: borrowing SharedMemory) -> Bool {
        memory.load64(launchpad.slotAddress(index) + 8) == 1
    }

    /// Signals that a task's own instruction brings about.
    private static let synchronous: Set<Int32> = [
        Signal.SIGILL, Signal.SIGTRAP, Signal.SIGBUS, Signal.SIGFPE, Signal.SIGSEGV, Signal.SIGSYS,
    ]

    static func isSynchronous(_ signal: Int32) -> Bool { synchronous.contains(signal) }

    /// Whether a signal that reaches a task under restart was planned: SIGCHLD of what ends or stops as planned, the
    /// stop of a stopped process, and the signal that a zombie ended by, which it sends to itself.
    func expects(_ signal: Int32, of index: Int, _ memory: borrowing SharedMemory) -> Bool {
        if signal == Signal.SIGCHLD || signal == stopSignal(of: index) { return true }
        guard ends(index) else { return false }
        if !Self.isSynchronous(signal) { return true }
        return currentStep(of: index, memory)?.step.operation == .call(.kill)
    }

    func failure(of index: Int, gotSignal signal: Int32, _ memory: borrowing SharedMemory) -> RestoreError {
        let place = placeInWords(of: index, memory).map { " at \($0)" } ?? ""
        return RestoreError("cannot restart \(title(of: index)): it got signal \(signal) while it was made\(place)")
    }

    /// The end of one task brings about that of others: its threads, and tasks that wait for a lock that it held.
    func cause(of index: Int, _ status: WaitStatus, _ memory: borrowing SharedMemory) -> RestoreError {
        // What stood in for a process has ended before the one that waits for it did.
        let substitute = launchpad.slots - 1
        if hasFailed(substitute, memory) { return failure(of: substitute, status, memory) }
        var first: RestoreError?
        for other in 0..<launchpad.slots where hasFailed(other, memory) {
            let found = failure(of: other, status, memory)
            if found.isLostNumber { return found }
            if first == nil { first = found }
        }
        if let first, !hasFailed(index, memory) { return first }
        return failure(of: index, status, memory)
    }

    /// Which step failed, with what, and what helps.
    private func failure(of index: Int, _ status: WaitStatus, _ memory: borrowing SharedMemory) -> RestoreError {
        let title = title(of: index)
        guard let place = currentStep(of: index, memory) else {
            return RestoreError("cannot restart \(title): it ended before its first step (\(status))")
        }
        let step = place.step
        let what = "step \(place.number), \(line(of: place.number, in: place.program))"
        guard hasFailed(index, memory) else {
            return RestoreError("cannot restart \(title): it ended (\(status)) at \(what)")
        }
        let result = Int64(bitPattern: memory.load64(launchpad.slotAddress(index) + 16))
        var error: RestoreError
        if result < 0 && result >= -4095 {
            let name = ErrnoName.of(Int32(-result))
            error = RestoreError("cannot restart \(title): \(name) at \(what)\(Self.help(name, step))")
        } else {
            let help = step.operation == .call(.clone) ? " (its number went to another process; --pidns gives the tree numbers of its own)" : ""
            error = RestoreError("cannot restart \(title): got \(result) at \(what)\(help)")
        }
        switch step.operation {
        case .call(.clone3): error.isLostNumber = result == -Int64(Errno.EEXIST)
        case .call(.clone): error.isLostNumber = result > 0
        default: break
        }
        return error
    }

    private static func help(_ name: String, _ step: Step) -> String {
        switch (step.name, name) {
        case ("futex", "ESRCH"): " (the task that had the lock has ended)"
        case ("clone3", "EEXIST"): " (its pid was taken meanwhile; --pidns gives the tree numbers of its own)"
        case (_, "ENOMEM"): " (memory or the number of mappings is limited here)"
        case ("futex", "EAGAIN"): " (another file took the name while the tree was restarted)"
        case ("openat2", "ELOOP"): " (a symbolic link took the place of the file while the tree was restarted)"
        case ("openat", _), ("openat2", _): " (the file was there when the restart began)"
        case (_, "EPERM"): " (a capability is missing; be root)"
        default: ""
        }
    }

    /// Why the inner half has ended before the root existed.
    func innerFailure(_ memory: borrowing SharedMemory) -> RestoreError {
        let number = Int32(bitPattern: memory.load32(launchpad.address(of: .innerError)))
        let root = tasks[0].title
        if number == Errno.EEXIST {
            var error = RestoreError("cannot create \(root): EEXIST (its pid was taken meanwhile; --pidns gives the tree numbers of its own)")
            error.isLostNumber = true
            return error
        }
        let error = SystemError(number, in: "inner half")
        return RestoreError(number == 0 ? "cannot create \(root): the inner half of crrestart died" : "cannot create \(root): \(error.name) (\(error.call))")
    }

    /// Where numbers come by `ns_last_pid`, other processes of the namespace may take them: a wrong one is noticed at birth, before the task
    /// itself or its creator meets it.
    func checkNumber(_ child: Int32, _ index: Int) throws(RestoreError) {
        guard valid.usesLastPid, !valid.isInNewNamespace else { return }
        let wanted = index < tasks.count ? tasks[index].tid : helpers[index - tasks.count].pid
        if UInt32(bitPattern: child) == wanted { return }
        var error = RestoreError(
            "cannot create \(title(of: index)): it got the number \(child) (other processes take numbers meanwhile; --pidns gives the tree numbers of its own)")
        error.isLostNumber = true
        throw error
    }
}
