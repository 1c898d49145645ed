internal import ArchState
internal import Kernel
internal import LinuxABI

/// The calls in which the tasks of a tree were interrupted, and how long each was still to wait.
///
/// Used in this order: `begin` for each freeze, `look` at tasks that are seized and not yet disturbed,
/// `mend` at each of their stops, `waits` and `restartBlock` for the image, `shorten` before the tree goes
/// on. Our stop is never seen by the program: what it disturbs is put right at the stop itself.
final class TimedCalls {
    /// What is left of a wait, and where that is known from.
    struct Wait {
        /// Number, arguments, `rip` and `rsp` of the call: whether a thread is still in the same one.
        var call: [UInt64]
        /// By the conventions of i386.
        var is32Bit: Bool
        /// On our monotonic clock.
        var deadline: Int64
        var source: TimeSource
    }

    let log: (String) -> Void
    private let probe: RestartBlockProbe?
    private let ownOffsets = (try? TimeNamespace.offsets(of: Processes.ownPid)) ?? TimeNamespace.Offsets()
    /// By tid: what a look before the stop showed.
    private var timers: [Int32: SleepTimer] = [:]
    private var lastSleeps: [Int32: LastSleep] = [:]
    /// Tids that were seen in no call whose timer would have to be looked for.
    private var untimed: Set<Int32> = []
    /// By tid: calls that will be made again from their arguments.
    private(set) var waits: [Int32: Wait] = [:]
    /// By tid: since when a thread sleeps that will go on through its restart block; only without BPF.
    private(set) var asleepSince: [Int32: Int64] = [:]
    /// Threads stopped with `-ERESTART_RESTARTBLOCK`, and their blocks once they have been read.
    private var interrupted: Set<Int32> = []
    private var blocks: [Int32: RestartBlock]?
    /// Threads that begin anew with their whole time, because nothing told what was left.
    private(set) var unknown: Set<Int32> = []
    /// By pid of a process that has the memory of another one: that one. Nil: the tree was not looked at yet.
    var memoryOwners: [Int32: Int32]?

    /// Opens what reads the kernel's own memory, while nothing is stopped yet.
    init(log: @escaping (String) -> Void) {
        self.log = log
        do throws(SystemError) { probe = try RestartBlockProbe(timerCalls: X86Call.numbersThatMayLoseTimers) } catch {
            probe = nil
            log(
                "cannot read the kernel's timers: \(error.name) (CAP_BPF and CAP_PERFMON help): what interrupted calls have left is taken from the tasks' own memory and their last sleep, or they begin anew")
        }
    }

    /// A freeze begins: nothing is known yet.
    func begin() {
        timers = [:]
        lastSleeps = [:]
        untimed = []
        waits = [:]
        asleepSince = [:]
        interrupted = []
        blocks = nil
        unknown = []
        memoryOwners = nil
    }

    /// Reads the timers of tasks that are seized and have not been disturbed yet.
    func look(at tids: [Int32]) {
        if let probe {
            let timed = Self.timed(among: tids, call: LastSleep.call, isWrittenBack: Self.isWrittenBack(of:at:))
            untimed.subtract(timed)
            untimed.formUnion(Set(tids).subtracting(timed))
            guard !timed.isEmpty, let found = try? probe.timers(of: timed) else { return }
            timers.merge(found) { _, new in new }
        } else {
            var clocks = ProcessorClocks()
            for tid in tids { lastSleeps[tid] = LastSleep(of: tid, &clocks) }
        }
    }

    /// Those of some tasks whose timers have to be looked for. To ask each task for its call is quicker only for a few: one run
    /// of a BPF program looks at all.
    static func timed(
        among tids: [Int32], call: (Int32) -> [UInt64]?, isWrittenBack: (Int32, UInt64) -> Bool
    ) -> [Int32] {
        guard tids.count <= 8 else { return tids }
        return tids.filter { tid in
            guard let call = call(tid) else { return true }
            guard !call.isEmpty else { return false }
            switch X86Call.timerLoss(call[0], Array(call[1...6])) {
            case .never: return false
            case .always: return true
            case .unlessWritten(let address): return !isWrittenBack(tid, address)
            }
        }
    }

    /// Whether the kernel will write what is left of a timeout to the structure that it was given: not into memory that cannot be
    /// written, and not for a task that has asked for the ways of other systems.
    ///
    /// - Source: fs/select.c, `poll_select_finish`; personality(2), STICKY_TIMEOUTS.
    static func isWrittenBack(of tid: Int32, at address: UInt64) -> Bool {
        guard let traits = try? personality(of: tid), traits & PersonalityFlag.STICKY_TIMEOUTS == 0 else { return false }
        if let mapping = try? MappingQuery(at: address, of: tid) { return mapping.isWritable }
        // Before Linux 6.11.
        let maps = try? MemoryMap.plain(of: tid)
        return maps?.first(where: { $0.start <= address && address < $0.end })?.protection.contains(.write) ?? false
    }

    /// Puts right what a stop has disturbed: turns an `EINTR` that only we caused into a call that is made again,
    /// and notes until when it was to wait. Called at each stop, before the task may run on.
    func mend(_ tid: Int32) {
        guard let before = generalRegisters(of: tid) else { return }
        let is32Bit = before.callIs32Bit(tid)
        let isOnSocket = before.interruptedCall == .eintr && isOnSocket(tid, before.systemCall(is32Bit: is32Bit))
        var registers = before.mended(callIs32Bit: is32Bit, onTimedSocket: isOnSocket)
        if registers.interruptedCall == .restartBlock, !Self.mayGoOn(tid, registers, is32Bit), let again = registers.madeAgain(callIs32Bit: is32Bit) {
            registers = again
        }
        if registers != before { try? Trace.setRegisters(.general, of: tid, to: registers.registerSet) }
        switch registers.interruptedCall {
        case .restartBlock:
            interrupted.insert(tid)
            if let sleep = lastSleep(of: tid, in: registers, is32Bit) { asleepSince[tid] = sleep.since }
        case .restartNoHand:
            guard let argument = registers.timeoutOfRepeatedCall(is32Bit: is32Bit) else { return }
            // Seen at an earlier stop of this freeze, which disturbed it already.
            if let known = waits[tid], known.call == registers.call { return }
            let wroteRest = argument.isUpdatedByKernel && before.interruptedCall == .restartNoHand
            waits[tid] = wait(tid, registers, is32Bit, argument, wroteRest: wroteRest)
        default: break
        }
    }

    /// Whether the filters of a thread, if it has any that can be read, let it go on with its sleep by `restart_syscall`.
    private static func mayGoOn(_ tid: Int32, _ registers: X86GeneralRegisters, _ is32Bit: Bool) -> Bool {
        guard let states = try? Trace.seccompFilters(of: tid), let call = registers.systemCall(is32Bit: is32Bit) else { return true }
        let filters = states.compactMap { SeccompFilter($0.program) }
        var restart = SeccompFilter.Call(
            UInt32(is32Bit ? 0 : X86GeneralRegisters.restartCall), on: is32Bit ? AuditArchitecture.AUDIT_ARCH_I386 : AuditArchitecture.AUDIT_ARCH_X86_64,
            call.arguments)
        restart.instructionPointer = registers.rip
        return SeccompFilter.allow(restart, filters)
    }

    private func wait(
        _ tid: Int32, _ registers: X86GeneralRegisters, _ is32Bit: Bool, _ argument: TimeoutArgument,
        wroteRest: Bool
    ) -> Wait? {
        // A structure that is not there: the call will say so itself.
        guard let whole = wholeTime(tid, registers, argument) else { return nil }
        let now = SystemClock.monotonic.now()
        func wait(until deadline: Int64, _ source: TimeSource) -> Wait {
            Wait(call: registers.call, is32Bit: is32Bit, deadline: deadline, source: source)
        }
        let end = now +| Int64(clamping: whole)
        if wroteRest { return wait(until: end, .memory) }
        if let timer = timers[tid] {
            let isSame = timer.call == registers.call && sleeps(of: tid) == timer.sleeps + 1
            // Made since we looked, moments ago: it has its whole time.
            guard isSame else { return wait(until: end, .arguments) }
            if let expires = timer.expires { return wait(until: expires +| ownOffsets.monotonic, .kernelTimer) }
        } else if untimed.contains(tid) {
            // Made since we looked, too.
            return wait(until: end, .arguments)
        }
        if let sleep = lastSleep(of: tid, in: registers, is32Bit) {
            return wait(until: min(end, end -| max(0, now -| sleep.since)), .lastSleep)
        }
        unknown.insert(tid)
        return wait(until: end, .arguments)
    }

    /// The timeout as the call was given it.
    private func wholeTime(_ tid: Int32, _ registers: X86GeneralRegisters, _ argument: TimeoutArgument) -> UInt64? {
        let value = registers[argument.register]
        if argument.form == .milliseconds { return UInt64(UInt32(truncatingIfNeeded: value)) * 1_000_000 }
        return (try? RemoteMemory.read(tid, at: value, count: argument.form.size)).flatMap(argument.nanoseconds)
    }

    /// What `/proc` told of the sleep that our stop ended; nil if the thread has run since, or sleeps on an
    /// earlier restart block, whose time began before its last sleep.
    private func lastSleep(of tid: Int32, in registers: X86GeneralRegisters, _ is32Bit: Bool) -> LastSleep? {
        guard let sleep = lastSleeps[tid], let call = registers.systemCall(is32Bit: is32Bit), !call.isRestart,
            sleep.call == [UInt64(call.number)] + call.arguments + [registers.rip, registers.rsp], sleeps(of: tid) == sleep.sleeps + 1
        else { return nil }
        return sleep
    }

    private func sleeps(of tid: Int32) -> UInt64? { (try? TaskStatus(of: tid))?.voluntarySwitches }

    /// Whether a call that answered `EINTR` was on a socket: then the socket has a timeout of its own.
    private func isOnSocket(_ tid: Int32, _ call: X86Call?) -> Bool {
        let descriptor: UInt64?
        switch call?.socket {
        case .descriptor(let number): descriptor = number
        case .address(let address): descriptor = RemoteMemory.word(tid, at: address)
        case nil: return false
        }
        guard let descriptor, let target = try? readLink("/proc/\(tid)/fd/\(UInt32(truncatingIfNeeded: descriptor))")
        else { return false }
        return target.starts(with: "socket:".utf8)
    }

    /// What the kernel would go on with for a thread stopped with `-ERESTART_RESTARTBLOCK`; nil where it cannot be
    /// asked.
    func restartBlock(of tid: Int32) -> RestartBlock? {
        guard let probe else { return nil }
        if blocks == nil || blocks?[tid] == nil && !interrupted.contains(tid) {
            interrupted.insert(tid)
            blocks = (try? probe.blocks(of: Array(interrupted))) ?? [:]
        }
        return blocks?[tid]
    }

    /// What threads would have to be asked one by one, where the kernel can be asked instead.
    func facts(of tids: [Int32]) -> [Int32: ThreadFacts] { (try? probe?.facts(of: tids)) ?? [:] }

    /// Those of some tasks that Landlock confines; nil: the kernel's memory does not tell.
    func confined(among tids: [Int32]) -> Set<Int32>? { probe?.confined(among: tids) }

    /// For want of anything better.
    func beginsAnew(_ tid: Int32) { unknown.insert(tid) }

    /// Says what could not be learned.
    func report() {
        guard !unknown.isEmpty else { return }
        let some = unknown.sorted().prefix(8).map(String.init).joined(separator: ", ")
        let more = unknown.count > 8 ? " and \(unknown.count - 8) others" : ""
        log("calls of thread\(unknown.count == 1 ? "" : "s") \(some)\(more) begin anew with their whole timeout: nothing tells how long they had waited")
    }

    /// The host's point in time on our own clock.
    func own(_ hostTime: Int64, clock: SystemClock) -> Int64 {
        switch clock {
        case .monotonic: hostTime +| ownOffsets.monotonic
        case .boottime, .boottimeAlarm: hostTime +| ownOffsets.boottime
        default: hostTime
        }
    }

    func generalRegisters(of tid: Int32) -> X86GeneralRegisters? {
        guard let raw = try? Trace.registers(.general, of: tid, atMost: X86GeneralRegisters.registerSetSize) else {
            return nil
        }
        return try? X86GeneralRegisters(registerSet: raw)
    }
}

extension X86GeneralRegisters {
    /// Number, six arguments, `rip` and `rsp` of the call the thread is in, as ``SleepTimer/call`` has them.
    var call: [UInt64] { [originalRAX, rdi, rsi, rdx, r10, r8, r9, rip, rsp] }
}
