internal import CKernel
internal import Glibc

/// Reads what the kernel remembers of interrupted and of sleeping calls, by BPF programs that run over tasks.
///
/// Needs `CAP_BPF` and `CAP_PERFMON` (or `CAP_SYS_ADMIN`), Linux 5.8 and its type description. Nothing in
/// the task is touched; only traced tasks are looked at. A restart block means something only if the task is
/// stopped with `-ERESTART_RESTARTBLOCK` in its result register; a timer only if the task still sleeps.
///
/// One program is loaded at once, which tells whether the kernel takes any; each of the others when it is first asked for.
///
/// Each task gives records of bytes, each followed by the name of a kernel function and a line end. The kernel
/// itself turns the address into the name (`%ps`), which works with any `kptr_restrict` and spares reading
/// `/proc/kallsyms`.
///
/// - Source: bpf(2); kernel/bpf/task_iter.c.
package final class RestartBlockProbe {
    private let kernel: KernelLayout
    /// The kernel function that the programs are attached to.
    private let function: Int
    private let timerCalls: () -> [Int]
    private let timerForms: [SleepTimerProgram.Form]
    private let blockProgram: LoadedProgram
    private let blockLayout: RestartBlockLayout
    /// Nil where the kernel does not take it (before 5.15, other architectures).
    private lazy var timerProgram: (program: LoadedProgram, layout: SleepTimerLayout)? = loadTimers()
    /// Nil where the kernel's structures are not the known ones.
    private lazy var factsProgram: LoadedProgram? =
        (try? ThreadFactsLayout(kernel)).flatMap { try? load(ThreadFactsProgram($0).code) }
    /// Nil where the kernel has no Landlock, or its structures are not the known ones.
    private lazy var securityProgram: LoadedProgram? =
        Landlock.isEnabled ? (try? SecurityLayout(kernel)).flatMap { try? load(SecurityProgram($0).code) } : nil
    /// Which of the words that ``SecurityProgram`` reads is Landlock's; nil: that could not be learned.
    private(set) var domainPlace: Int?
    /// The kernel counts pids in the initial namespace; elsewhere tasks are asked for one by one.
    private let isInInitialNamespace: Bool

    /// Loads the first program.
    ///
    /// - Throws: `EPERM` without the capabilities, `ENOENT` without type description, `EBADMSG` where the
    ///   kernel's structures are not the known ones.
    ///
    /// - Parameter timerCalls: see ``timers(of:)``. Asked for when the first such call is looked for.
    package convenience init(timerCalls: @escaping @autoclosure () -> [Int]) throws(SystemError) {
        try self.init(timerCalls: timerCalls(), timerForms: SleepTimerProgram.Form.allCases)
    }

    /// - Parameter timerForms: those that are tried, in order.
    init(timerCalls: @escaping @autoclosure () -> [Int], timerForms: [SleepTimerProgram.Form]) throws(SystemError) {
        (self.timerCalls, self.timerForms) = (timerCalls, timerForms)
        // Before the type description is searched for what could not be used.
        guard Self.mayLoad(Capabilities.currentEffective) else { throw SystemError(EPERM, in: "bpf(BPF_PROG_LOAD)") }
        kernel = KernelLayout()
        let layout = try RestartBlockLayout(kernel)
        blockLayout = layout
        function = try kernel.function("bpf_iter_task")
        blockProgram = try Self.load(RestartBlockProgram(layout).code, over: function)
        // PROC_PID_INIT_INO of include/linux/proc_ns.h.
        isInInitialNamespace = try readLink("/proc/self/ns/pid").elementsEqual("pid:[4026531836]".utf8)
        // All that can be asked later, so that it is kept for the next start, and nothing is searched while a tree is stopped.
        _ = try? SleepTimerLayout(kernel)
        _ = try? ThreadFactsLayout(kernel)
        _ = try? SecurityLayout(kernel)
        if securityProgram != nil { domainPlace = kernel.ofThisBoot("landlock") { findDomainPlace() } }
        kernel.keep()
    }

    /// Whether a process with these capabilities may load programs that read the kernel's memory, as far as they decide.
    static func mayLoad(_ effective: UInt64) -> Bool {
        func has(_ bit: UInt64) -> Bool { effective >> bit & 1 != 0 }
        // CAP_SYS_ADMIN; CAP_BPF with CAP_PERFMON.
        return has(21) || has(39) && has(38)
    }

    /// Whether ``timers(of:)`` can tell anything.
    package var seesTimers: Bool { timerProgram != nil }

    private func loadTimers() -> (program: LoadedProgram, layout: SleepTimerLayout)? {
        guard let layout = try? SleepTimerLayout(kernel) else { return nil }
        for form in timerForms {
            if let program = try? load(SleepTimerProgram(layout, form, calls: timerCalls()).code) { return (program, layout) }
        }
        return nil
    }

    /// The restart blocks of traced tasks, by tid; those that are gone are missing.
    package func blocks(of tasks: [Int32]) throws(SystemError) -> [Int32: RestartBlock] {
        let layout = blockLayout
        let header = RestartBlockProgram.headerSize
        var blocks: [Int32: RestartBlock] = [:]
        for record in try records(
            blockProgram.number, of: tasks, size: RestartBlockProgram.recordSize(layout))
        {
            let block = Array(record.bytes[header..<header + layout.blockSize])
            blocks[record.task] = layout.decode(block, name: record.name)
        }
        return blocks
    }

    /// The calls of those traced tasks that sleep interruptibly, by tid; with the timer where it is one of the calls that this probe
    /// was made for.
    ///
    /// - Preconditions: nothing has woken the tasks: they are seized and not yet interrupted.
    package func timers(of tasks: [Int32]) throws(SystemError) -> [Int32: SleepTimer] {
        guard let (timerProgram, layout) = timerProgram else { return [:] }
        var timers: [Int32: SleepTimer] = [:]
        for record in try records(
            timerProgram.number, of: tasks, size: SleepTimerProgram.recordSize(layout))
        {
            if timers[record.task] == nil {
                timers[record.task] = SleepTimer(
                    expires: nil, sleeps: littleEndian8(record.bytes, at: 8),
                    call: layout.registers.map {
                        littleEndian8(record.bytes, at: SleepTimerProgram.headerSize + $0)
                    })
            } else if record.name.prefix(while: { $0 != "." }) == "hrtimer_wakeup",
                timers[record.task]?.expires == nil
            {
                timers[record.task]?.expires = Int64(bitPattern: littleEndian8(record.bytes, at: 16))
            }
        }
        return timers
    }

    /// The ``ThreadFacts`` of traced tasks, by tid. Tasks that are gone are missing; empty where the kernel refused the
    /// program.
    package func facts(of tasks: [Int32]) throws(SystemError) -> [Int32: ThreadFacts] {
        guard let factsProgram else { return [:] }
        let wanted = Set(tasks)
        var facts: [Int32: ThreadFacts] = [:]
        if isInInitialNamespace && tasks.count > 8 {
            for (task, found) in ThreadFactsProgram.decode(try run(factsProgram.number, task: 0)) where wanted.contains(task) {
                facts[task] = found
            }
            return facts
        }
        for task in tasks {
            do throws(SystemError) {
                facts[task] = ThreadFactsProgram.decode(try run(factsProgram.number, task: task)).first?.facts
            } catch let error where error.isGone { continue }
        }
        return facts
    }

    /// What ``SecurityProgram`` reads of some tasks, by tid. Tasks that are gone are missing. Nil: the kernel does not tell.
    func words(of tasks: [Int32]) -> [Int32: [UInt64]]? {
        guard let securityProgram else { return nil }
        let wanted = Set(tasks)
        var words: [Int32: [UInt64]] = [:]
        do throws(SystemError) {
            if isInInitialNamespace && tasks.count > 8 {
                for (task, found) in SecurityProgram.decode(try run(securityProgram.number, task: 0)) where wanted.contains(task) {
                    words[task] = found
                }
                return words
            }
            for task in tasks {
                do throws(SystemError) {
                    words[task] = SecurityProgram.decode(try run(securityProgram.number, task: task)).first?.words
                } catch let error where error.isGone { continue }
            }
            return words
        } catch { return nil }
    }

    /// A descriptor that can be optional.
    private final class LoadedProgram {
        private let descriptor: Descriptor
        var number: Int32 { descriptor.number }
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    private func load(_ code: BPFCode) throws(SystemError) -> LoadedProgram { try Self.load(code, over: function) }

    private static func load(_ code: BPFCode, over function: Int) throws(SystemError) -> LoadedProgram {
        try FaultPoint.setupBPF.pass("bpf(BPF_PROG_LOAD)")
        var types: LoadedProgram?
        if code.function != nil {
            let bytes = BPFCode.functionTypes
            let loaded = unsafe ckernel_bpf_load_types(bytes, UInt32(bytes.count))
            types = LoadedProgram(Descriptor(owning: Int32(try SystemError.check(Int(loaded), "bpf(BPF_BTF_LOAD)"))))
        }
        let (instructions, info) = (code.instructions, code.functionInfo)
        let result = unsafe ckernel_bpf_load_iterator(
            instructions, UInt32(instructions.count), UInt32(function), types?.number ?? -1, info, UInt32(info.count / 2))
        return LoadedProgram(
            Descriptor(owning: Int32(try SystemError.check(Int(result), "bpf(BPF_PROG_LOAD)"))))
    }

    /// One record and the name after it.
    private struct Record {
        var task: Int32
        var bytes: [UInt8]
        var name: String
    }

    /// Runs the program once for each of a few tasks, or once over all tasks if there are many.
    private func records(_ program: Int32, of tasks: [Int32], size: Int) throws(SystemError) -> [Record] {
        if isInInitialNamespace && tasks.count > 8 {
            let wanted = Set(tasks)
            return split(try run(program, task: 0), size: size).filter { wanted.contains($0.task) }
        }
        var found: [Record] = []
        for task in tasks {
            do throws(SystemError) {
                for var record in split(try run(program, task: task), size: size) {
                    record.task = task
                    found.append(record)
                }
            } catch let error where error.isGone {
                continue
            } catch let error where error.number == EINVAL || error.number == E2BIG {
                // Before 6.1 an iterator runs over all tasks.
                guard isInInitialNamespace else { throw error }
                let wanted = Set(tasks)
                return split(try run(program, task: 0), size: size).filter { wanted.contains($0.task) }
            }
        }
        return found
    }

    private func run(_ program: Int32, task: Int32) throws(SystemError) -> [UInt8] {
        try FaultPoint.runBPF.pass("bpf(BPF_LINK_CREATE)")
        let linked = ckernel_bpf_link_iterator(program, UInt32(bitPattern: task), 0)
        let link = Descriptor(owning: Int32(try SystemError.check(Int(linked), "bpf(BPF_LINK_CREATE)")))
        let started = ckernel_bpf_start_iterator(link.number)
        let iterator = Descriptor(owning: Int32(try SystemError.check(Int(started), "bpf(BPF_ITER_CREATE)")))
        return try readKernelText(iterator, capacity: 1 << 15)
    }

    private func split(_ text: [UInt8], size: Int) -> [Record] {
        var found: [Record] = []
        var at = 0
        while at + size < text.count {
            let nameEnd = text[(at + size)...].firstIndex(of: .newline) ?? text.count
            found.append(
                Record(
                    task: Int32(truncatingIfNeeded: littleEndian8(text, at: at)), bytes: Array(text[at..<at + size]),
                    name: String(decoding: text[at + size..<nameEnd], as: UTF8.self)))
            at = nameEnd + 1
        }
        return found
    }
}
