internal import ArchState
internal import Kernel
internal import LinuxABI
internal import StepProgram

/// What confines the system calls of the threads of a stopped tree: filters of seccomp(2), its strict mode, and calls that come back as
/// signals (PR_SET_SYSCALL_USER_DISPATCH).
///
/// A call that is made in the name of a thread must be one that it may make: it would end the thread otherwise, or reach the program as a
/// signal. So it is asked here first, for each call.
///
/// - Source: seccomp(2); prctl(2); kernel/entry/syscall_user_dispatch.c.
struct CallConfinement: Sendable {
    /// Of one thread that is confined.
    struct Thread: Sendable {
        /// Places in `filters`, the oldest first.
        var filters: [Int] = []
        var isStrict = false
        var dispatch: CallDispatchState?
        /// The byte that switches the dispatch says that calls are let through.
        var dispatchIsOff = false
        var refusals: [Refusal] = []
    }

    /// Each filter of the tree once.
    private(set) var filters: [SeccompFilterState] = []
    /// Nil: the kernel took a program that this version does not understand: no call is allowed.
    private var programs: [SeccompFilter?] = []
    private(set) var threads: [HostPid: Thread] = [:]

    static let unreadable = Refusal(
        "has a seccomp filter, which only CAP_SYS_ADMIN lets be read, and only by a program that has none itself",
        help: "be root in the initial user namespace, outside of containers")
    static let listener = Refusal(
        "has a seccomp filter that asks another process (SECCOMP_RET_USER_NOTIF), which would be lost", help: "run it without that supervisor")

    init() {}

    /// - Preconditions: all tasks of the tree are stopped.
    /// - Throws: what failed for which task; what only makes it impossible to save the thread is among its refusals.
    init(of sight: TreeSight) throws(CaptureError) {
        var places: [SeccompFilterState: Int] = [:]
        for (process, thread) in sight.threads {
            var found = Thread()
            let mode = UInt64(process.status(of: thread).seccompMode)
            do throws(SystemError) {
                found.dispatch = try Trace.callDispatch(of: thread.tid.rawValue)
                found.isStrict = mode == Seccomp.SECCOMP_MODE_STRICT
                if mode == Seccomp.SECCOMP_MODE_FILTER { try readFilters(of: thread.tid.rawValue, into: &found, &places) }
            } catch { throw CaptureError(cannot: "ask thread \(thread.tid) of", task: process.pid, process.stat.value.comm, error) }
            if let selector = found.dispatch?.selector, selector != 0 {
                let byte = try? RemoteMemory.read(thread.tid.rawValue, at: selector, count: 1)
                found.dispatchIsOff = byte == [Self.letsThrough]
            }
            if mode != Seccomp.SECCOMP_MODE_DISABLED || found.dispatch != nil { threads[thread.tid] = found }
        }
    }

    /// SYSCALL_DISPATCH_FILTER_ALLOW
    private static let letsThrough: UInt8 = 0

    private mutating func readFilters(
        of tid: Int32, into thread: inout Thread, _ places: inout [SeccompFilterState: Int]
    ) throws(SystemError) {
        let states: [SeccompFilterState]
        do throws(SystemError) { states = try Trace.seccompFilters(of: tid) } catch {
            switch error.number {
            case Errno.EACCES, Errno.EPERM: thread.refusals.append(Self.unreadable)
            case Errno.EINVAL, Errno.EIO, Errno.E2BIG: thread.refusals.append(Refusal("has a seccomp filter, which this kernel does not tell: \(error.name)"))
            default: throw error
            }
            return
        }
        for state in states {
            if places[state] == nil {
                places[state] = filters.count
                filters.append(state)
                programs.append(SeccompFilter(state.program))
            }
            guard let place = places[state] else { continue }
            thread.filters.append(place)
            guard let program = programs[place] else {
                thread.refusals.append(Refusal("has a seccomp filter that is none of this version's"))
                continue
            }
            if program.canReturn(SeccompAction.SECCOMP_RET_USER_NOTIF), !thread.refusals.contains(Self.listener) { thread.refusals.append(Self.listener) }
        }
    }

    /// Whether a thread may make a call in the stub.
    func allows(_ call: SeccompFilter.Call, _ tid: HostPid, in place: InjectionPlace) -> Bool {
        guard let thread = threads[tid] else { return true }
        if thread.isStrict || !thread.refusals.isEmpty { return false }
        if let dispatch = thread.dispatch, !thread.dispatchIsOff {
            let isInside = place.stubAddress >= dispatch.offset && place.vdsoEnd - dispatch.offset <= dispatch.length
            let isOutside = place.vdsoEnd <= dispatch.offset || place.stubAddress >= dispatch.offset &+ dispatch.length
            let isLetThrough = dispatch.mode == Prctl.PR_SYS_DISPATCH_EXCLUSIVE_ON ? isInside : isOutside
            if !isLetThrough { return false }
        }
        let programs = thread.filters.compactMap { self.programs[$0] }
        guard programs.count == thread.filters.count else { return false }
        // Where in memory it is made matters to few filters.
        guard programs.contains(where: \.readsInstructionPointer) else { return SeccompFilter.allow(call, programs) }
        return place.callAddresses.allSatisfy { address in
            var call = call
            call.instructionPointer = address
            return SeccompFilter.allow(call, programs)
        }
    }

    /// Whether a thread may make a step of a program; a step with an argument that is not known yet it may not.
    func allows(_ step: Step, _ tid: HostPid, in place: InjectionPlace) -> Bool {
        var arguments: [UInt64] = []
        for argument in step.arguments {
            guard case .value(let value) = argument else { return false }
            arguments.append(value)
        }
        switch step.operation {
        case .call(let call):
            return allows(SeccompFilter.Call(UInt32(truncatingIfNeeded: call.number(on: .host)), on: Self.native, arguments), tid, in: place)
        case .call32(let call):
            return allows(
                SeccompFilter.Call(UInt32(truncatingIfNeeded: call.rawValue), on: AuditArchitecture.AUDIT_ARCH_I386, arguments.map { $0 & 0xffff_ffff }),
                tid, in: place)
        case .end: return true
        case .wait, .advance: return false
        }
    }

    /// Whether a thread may make the calls by which the stub itself comes, works and goes.
    func letsIn(_ tid: HostPid, _ place: InjectionPlace, _ registers: X86GeneralRegisters) -> Bool {
        guard threads[tid] != nil else { return true }
        return place.stubCalls(registers).allSatisfy { allows(SeccompFilter.Call(UInt32($0.number), on: Self.native, $0.arguments), tid, in: place) }
    }

    /// A program without the steps that a thread may not make: in their place it makes a harmless call again. The places of steps stay as
    /// they are.
    ///
    /// - Returns: also which steps are left out.
    func permitted(_ program: Program, _ tid: HostPid, in place: InjectionPlace) -> (Program, leftOut: Set<Int>) {
        guard threads[tid] != nil else { return (program, []) }
        let leftOut = Set(program.steps.indices.filter { !allows(program.steps[$0], tid, in: place) })
        guard !leftOut.isEmpty else { return (program, []) }
        var permitted = program
        for index in leftOut { permitted.steps[index] = Injection.firstStep(place) }
        return (permitted, leftOut)
    }

    static var native: UInt32 {
        #if arch(arm64)
            AuditArchitecture.AUDIT_ARCH_AARCH64
        #else
            AuditArchitecture.AUDIT_ARCH_X86_64
        #endif
    }
}

extension InjectionPlace {
    /// Addresses behind everything in the stub that looks like an instruction that makes a call.
    var callAddresses: [UInt64] {
        let code = CheckpointStub.code()
        return code.indices.dropLast().filter { (code[$0], code[$0 + 1]) == (0x0f, 0x05) || (code[$0], code[$0 + 1]) == (0xcd, 0x80) }
            .map { stubAddress + UInt64($0) + 2 }
    }

    /// The calls of the stub besides the steps that it is given, with all six arguments: what a call does not take is whatever the
    /// registers hold then, those of the thread or what the call before has left.
    ///
    /// `steploop_x86_64.S` has them.
    func stubCalls(_ registers: X86GeneralRegisters) -> [(number: Int64, arguments: [UInt64])] {
        func mask(_ offset: Int, _ rest: [UInt64]) -> (Int64, [UInt64]) {
            (SystemCall.rt_sigprocmask.rawValue, [2, stubAddress + UInt64(offset), 0, 8] + rest)
        }
        let own = [registers.r8, registers.r9]
        let map: [UInt64] = [memory, size, 3, 0x10_0022, .max, 0]
        let wait = stubAddress + UInt64(CheckpointStub.waitOffset)
        let unmap = [memory, size]
        let first = Injection.firstStep(self)
        return [
            mask(CheckpointStub.maskOffset + 8, own), (SystemCall.mmap.rawValue, map),
            (SystemCall.madvise.rawValue, first.arguments.map { if case .value(let value) = $0 { value } else { 0 } }),
            (SystemCall.ppoll.rawValue, [0, 0, wait, 0, 0, 0]),
            (SystemCall.munmap.rawValue, unmap + [wait, 0, 0, 0]),
            (SystemCall.munmap.rawValue, unmap + [registers.rdx, registers.r10] + own),
            // Without memory, after it was given up, and after the tool has turned the thread home.
            mask(CheckpointStub.maskOffset, [.max, 0]), mask(CheckpointStub.maskOffset, [0, 0]), mask(CheckpointStub.maskOffset, own),
        ]
    }
}
