package import CheckpointImage
internal import StepProgram

/// New numbers for all tasks of a tree (`--no-pids`).
///
/// It translates all numbers of tasks in the image that the kernel knows as such: pids, tids, sessions and groups, the
/// tasks of timers and of clocks of processor time, senders of pending signals, owners of open files, and the process or group that a task waits
/// for in `wait4` or `waitid`. Numbers of tasks outside of the tree stay the same. Numbers that a program has noted in its
/// memory or files stay the same, too, because only the program itself knows that they are pids.
///
/// Pure: an image in, an image out.
package struct Renumbering: Sendable {
    package struct Pair: Sendable, Equatable {
        package var old: UInt32
        package var new: UInt32
        /// The name of the task, or what the number is needed for.
        package var title: String
    }

    /// In the order of the image; dead leaders of sessions and groups last.
    package let pairs: [Pair]
    private let table: [UInt32: UInt32]
    private let back: [UInt32: UInt32]

    /// - Parameter fresh: numbers that no task has. The result is nil if there are too few.
    package init?(of image: CheckpointImage, fresh: [UInt32]) {
        let old = Self.oldNumbers(of: image)
        guard fresh.count >= old.count else { return nil }
        // Ascending, so that threads stay in the order of their numbers.
        let new = fresh.prefix(old.count).sorted()
        var pairs: [Pair] = []
        pairs.reserveCapacity(old.count)
        for (old, new) in zip(old, new) {
            let title: String
            if let process = image.process(old) {
                title = process.command.asText
            } else if let thread = image.thread(old) {
                title = "\(thread.name.asText), a thread of \(thread.process)"
            } else {
                title = "a dead leader's session or process group"
            }
            pairs.append(Pair(old: old, new: new, title: title))
        }
        self.pairs = pairs
        table = Dictionary(uniqueKeysWithValues: zip(old, new))
        back = Dictionary(uniqueKeysWithValues: zip(new, old))
    }

    /// Every number that the tree needs, each once: those of processes with their threads, in the order of the image, then
    /// those of dead leaders whose session or group still has members.
    package static func oldNumbers(of image: CheckpointImage) -> [UInt32] {
        var numbers: [UInt32] = []
        var seen: Set<UInt32> = [0]
        if image.header.outsideSession != 0 { seen.insert(image.header.outsideSession) }
        if image.header.outsideGroup != 0 { seen.insert(image.header.outsideGroup) }
        func add(_ number: UInt32) { if seen.insert(number).inserted { numbers.append(number) } }
        for process in image.processes {
            add(process.pid)
            for thread in image.threads(of: process.pid) { add(thread.tid) }
        }
        for process in image.processes {
            add(process.session)
            add(process.group)
        }
        return numbers
    }

    /// The new number for an old one; a number that is not of the tree stays the same.
    package func new(_ old: UInt32) -> UInt32 { table[old] ?? old }
    package func new(_ old: Int32) -> Int32 { Int32(bitPattern: new(UInt32(bitPattern: old))) }
    /// The number in the image.
    package func old(_ new: UInt32) -> UInt32 { back[new] ?? new }

    /// The same tree with its new numbers.
    package func applied(to image: CheckpointImage) throws(ImageError) -> CheckpointImage {
        try image.changed { records in
            records.header.root = new(records.header.root)
            for index in records.namespaces.indices where records.namespaces[index].pid.init_p != 0 {
                records.namespaces[index].pid.init_p = new(records.namespaces[index].pid.init_p)
            }
            for index in records.processes.indices { translate(&records.processes[index]) }
            for index in records.threads.indices { translate(&records.threads[index]) }
            for index in records.terminals.indices {
                records.terminals[index].session = new(records.terminals[index].session)
                records.terminals[index].foreground = new(records.terminals[index].foreground)
            }
            for index in records.openFiles.indices { translate(&records.openFiles[index]) }
            for index in records.semaphoreSets.indices {
                for place in records.semaphoreSets[index].undo.indices {
                    records.semaphoreSets[index].undo[place].thread = new(records.semaphoreSets[index].undo[place].thread)
                }
            }
        }
    }

    func translate(_ process: inout ImageProcess) {
        process.pid = new(process.pid)
        process.parent = new(process.parent)
        process.session = new(process.session)
        process.group = new(process.group)
        // A process in a nested pid namespace has numbers of that namespace in its own structures; they stay the same.
        guard process.innerPids.isEmpty else { return }
        for index in process.pending.indices { translate(&process.pending[index]) }
        process.posixTimers = process.posixTimers.map { timer in
            var timer = timer
            timer.thread = new(timer.thread)
            timer.clock = newClock(timer.clock)
            return timer
        }
    }

    func translate(_ thread: inout ImageThread) {
        thread.tid = new(thread.tid)
        thread.process = new(thread.process)
        guard thread.innerTids.isEmpty else { return }
        for index in thread.pending.indices { translate(&thread.pending[index]) }
        if thread.hasRestartBlock && thread.restartBlock.kind == .cpuNanosleep {
            let clock = newClock(Int32(bitPattern: thread.restartBlock.clock))
            thread.restartBlock.clock = UInt32(bitPattern: clock)
        }
        translateCall(&thread)
    }

    /// The number of a clock of processor time contains the number of a task.
    private func newClock(_ number: Int32) -> Int32 {
        guard let clock = CPUClock(number), clock.task != 0 else { return number }
        return clock.of(task: Int32(new(clock.task))).number
    }

    /// The sender, or the child that the signal is about: in `siginfo_t` the 32 bits at 16, for the codes that have one.
    ///
    /// - Source: sigaction(2), `siginfo_t`; kernel/signal.c, `siginfo_layout`.
    func translate(_ signal: inout ImagePendingSignal) {
        var info = signal.info.asBytes
        guard info.count >= 20 else { return }
        let number = info.littleEndian32(at: 0)
        let code = Int32(bitPattern: info.littleEndian32(at: 8))
        // SI_USER, SI_QUEUE, SI_MESGQ, SI_TKILL; of SIGCHLD the CLD_* codes.
        guard [0, -1, -3, -6].contains(code) || number == 17 && (1...6).contains(code) else { return }
        let pid = info.littleEndian32(at: 16)
        guard let translated = table[pid] else { return }
        for byte in 0..<4 { info[16 + byte] = UInt8(truncatingIfNeeded: translated >> (8 * UInt32(byte))) }
        signal.info = info.asData
    }
}
