import CKernel
import Glibc
import Testing

@testable import Kernel

@Suite struct RestartBlockTests {
    /// 56 bytes as Linux 6.18 lays them out on x86_64.
    static let layout = RestartBlockLayout(
        task: 0, process: 0, tracing: 0, block: 0, blockSize: 56, function: 8, sleepClock: 16, sleepType: 20,
        sleepRemaining: 24, sleepExpires: 32, pollDescriptors: 16, pollCount: 24, pollHasTimeout: 28,
        pollSeconds: 32, pollNanoseconds: 40, futexAddress: 16, futexValue: 24, futexFlags: 28,
        futexBitset: 32,
        futexTime: 40)

    static func block(_ words: UInt64...) -> [UInt8] {
        words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) } }
    }

    @Test func sleepWithoutRemaining() {
        let block = Self.block(0, 0xffff_ffff_8220_0550, 1, 0x1234, 5_000_000_000, 0, 0)
        #expect(
            Self.layout.decode(block, name: "hrtimer_nanosleep_restart")
                == .nanosleep(clock: 1, remaining: 0, isCompat: false, expires: 5_000_000_000))
    }

    @Test func sleepWithRemaining() {
        let native = Self.block(0, 1, 1 << 32 | 7, 0x7ffd_1234, 9, 0, 0)
        #expect(
            Self.layout.decode(native, name: "hrtimer_nanosleep_restart.llvm.17")
                == .nanosleep(clock: 7, remaining: 0x7ffd_1234, isCompat: false, expires: 9))
        let compat = Self.block(0, 1, 2 << 32 | 0xffff_fffa, 0x7ffd_1234, 9, 0, 0)
        #expect(
            Self.layout.decode(compat, name: "posix_cpu_nsleep_restart")
                == .cpuNanosleep(clock: -6, remaining: 0x7ffd_1234, isCompat: true, expires: 9))
    }

    @Test func pollWithAndWithoutEnd() {
        let timed = Self.block(0, 1, 0x5000, 1 << 32 | 3, 2, 500, 0)
        #expect(
            Self.layout.decode(timed, name: "do_restart_poll")
                == .poll(descriptors: 0x5000, count: 3, deadline: 2_000_000_500))
        let endless = Self.block(0, 1, 0x5000, 3, 2, 500, 0)
        #expect(
            Self.layout.decode(endless, name: "do_restart_poll")
                == .poll(descriptors: 0x5000, count: 3, deadline: nil))
    }

    @Test func futexWait() {
        let block = Self.block(0, 1, 0x6000, 0x62 << 32 | 2, 0xffff_ffff, 77, 0)
        #expect(
            Self.layout.decode(block, name: "futex_wait_restart")
                == .futex(
                    address: 0x6000, value: 2, flags: FutexFlags(rawValue: 0x62), bitset: .max, expires: 77))
    }

    @Test(arguments: [
        // Since 6.7: size 2, shared 0x10, real time 0x20, timeout 0x40.
        (0x42, 128), (0x62, 128 | 256), (0x52, 0), (0x72, 256),
        // Before: shared 1, real time 2, timeout 4.
        (0x04, 128), (0x06, 128 | 256), (0x05, 0), (0x07, 256),
    ])
    func futexFlags(kernel: Int, operation: Int) {
        #expect(FutexFlags(rawValue: UInt32(kernel)).operationBits == Int32(operation))
    }

    @Test func nothingAndSomethingElse() {
        let block = Self.block(0, 0xffff, 0, 0, 0, 0, 0)
        #expect(Self.layout.decode(block, name: "do_no_restart_syscall") == .none)
        #expect(Self.layout.decode(block, name: "fresh") == .unknown(function: 0xffff, name: "fresh"))
        #expect(Self.layout.decode([], name: "fresh") == .unknown(function: 0, name: "fresh"))
    }

    @Test func damagedTypeDescriptionIsRefused() {
        #expect(throws: SystemError.self) { try KernelTypes([]) }
        #expect(throws: SystemError.self) { try KernelTypes([UInt8](repeating: 0xff, count: 64)) }
    }
}

/// Real tasks, interrupted in real calls.
@Suite(
    .serialized,
    .enabled(if: geteuid() == 0, "reading restart blocks wants CAP_BPF and CAP_PERFMON: run as root"))
struct RestartBlockProbeTests {
    @Test func sleepingProcess() throws {
        try interrupted(["/bin/sleep", "5"], in: [35, 230]) { probe, pid in
            let blocks = try probe.blocks(of: [pid])
            #expect(blocks.count == 1)
            guard case .nanosleep(let clock, _, false, let expires) = try #require(blocks[pid]) else {
                Issue.record("not asleep: \(blocks)")
                return
            }
            #expect(clock == SystemClock.monotonic.rawValue)
            let left = expires - SystemClock.monotonic.now()
            #expect(left > 0 && left < 5_000_000_000)
            // Many are looked for among all.
            let many = [pid] + (4_194_200..<4_194_220).map { Int32($0) }
            #expect(try probe.blocks(of: many) == blocks)
        }
    }

    @Test(.enabled(if: access("/usr/bin/python3", X_OK) == 0, "wants python3"))
    func pollingProcess() throws {
        let code = "import os,select; p=select.poll(); p.register(os.pipe()[0]); p.poll(5000)"
        try interrupted(["/usr/bin/python3", "-c", code], in: [7]) { probe, pid in
            guard case .poll(let address, 1, let deadline?) = try probe.blocks(of: [pid])[pid] else {
                Issue.record("not polling")
                return
            }
            #expect(address != 0)
            let left = deadline - SystemClock.monotonic.now()
            #expect(left > 0 && left < 5_000_000_000)
        }
    }

    @Test(.enabled(if: access("/usr/bin/python3", X_OK) == 0, "wants python3"))
    func futexWaiter() throws {
        let code = "import threading; l=threading.Lock(); l.acquire(); l.acquire(timeout=5)"
        try interrupted(["/usr/bin/python3", "-c", code], in: [202]) { probe, pid in
            guard
                case .futex(let address, _, let flags, let bitset, let expires) = try probe.blocks(
                    of: [pid])[pid]
            else {
                Issue.record("not waiting")
                return
            }
            #expect(address != 0 && bitset == .max)
            let clock: SystemClock = flags.isRealtime ? .realtime : .monotonic
            let left = expires - clock.now()
            #expect(left > 0 && left < 5_000_000_000)
            #expect(flags.operationBits & ~(128 | 256) == 0)
        }
    }

    @Test func processThatIsGone() throws {
        let probe = try RestartBlockProbe(timerCalls: [7, 128, 232])
        #expect(try probe.blocks(of: [4_194_303]).isEmpty)
        #expect(try probe.timers(of: [4_194_303]).isEmpty)
    }

    @Test(.enabled(if: access("/usr/bin/python3", X_OK) == 0, "wants python3"), arguments: [
        (232, "import select; select.epoll().poll(5)"),
        (128, "import signal; signal.sigtimedwait([signal.SIGUSR1], 5)"),
        (7, "import select; select.poll().poll(5000)"),
    ])
    func timerOfSleepingCall(call: Int, code: String) throws {
        let begin = SystemClock.monotonic.now()
        try interrupted(["/usr/bin/python3", "-c", code], in: [call], stop: false) { probe, pid in
            try #require(probe.seesTimers)
            let timer = try #require(try probe.timers(of: [pid])[pid])
            #expect(timer.call.first == UInt64(call))
            #expect(timer.sleeps > 0)
            let now = SystemClock.monotonic.now()
            let expires = try #require(timer.expires)
            #expect(expires > begin + 5_000_000_000 && expires <= now + 5_000_000_000)
            // An untraced task is none of ours.
            #expect(try probe.timers(of: [getppid()]).isEmpty)
        }
    }

    /// The form that older kernels take tells the same.
    @Test(.enabled(if: access("/usr/bin/python3", X_OK) == 0, "wants python3"), arguments: SleepTimerProgram.Form.allCases)
    func bothFormsOfTheTimerProgram(form: SleepTimerProgram.Form) throws {
        let code = "import select; select.epoll().poll(5)"
        try interrupted(["/usr/bin/python3", "-c", code], in: [232], stop: false) { _, pid in
            let probe = try RestartBlockProbe(timerCalls: [128, 232], timerForms: [form])
            #expect(try probe.timers(of: [pid])[pid]?.expires != nil)
            // The call is told, its timer not looked for.
            let other = try RestartBlockProbe(timerCalls: [128], timerForms: [form])
            let timer = try #require(try other.timers(of: [pid])[pid])
            #expect(timer.call.first == 232 && timer.expires == nil)
        }
    }

    /// Starts a program, stops it inside one of the calls by ptrace, looks, and ends it.
    private func interrupted(
        _ arguments: [String], in calls: [Int], stop: Bool = true,
        _ look: (RestartBlockProbe, Int32) throws -> Void
    ) throws {
        let probe = try RestartBlockProbe(timerCalls: [7, 128, 232])
        let pid = try Child.spawn(arguments)
        defer { Child.end(pid) }
        try #require(Child.waitForCall(of: pid, in: calls), "\(arguments) did not get into its call")
        #expect(ckernel_syscall(101, 0x4206, Int(pid), 0, 0, 0, 0) == 0)  // PTRACE_SEIZE
        guard stop else { return try look(probe, pid) }
        #expect(ckernel_syscall(101, 0x4207, Int(pid), 0, 0, 0, 0) == 0)  // PTRACE_INTERRUPT
        var status: Int32 = 0
        #expect(waitpid(pid, &status, Int32(bitPattern: 0x4000_0000)) == pid)
        #expect(status & 0xff == 0x7f)
        try look(probe, pid)
    }
}

/// Child processes of tests.
enum Child {
    static func spawn(_ arguments: [String]) throws -> pid_t {
        var pid: pid_t = 0
        var texts: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for text in texts { free(text) } }
        let result = posix_spawn(&pid, arguments[0], nil, nil, &texts, environ)
        if result != 0 { throw SystemError(result, in: "posix_spawn \(arguments[0])") }
        return pid
    }

    /// Waits until the main thread of a child is inside one of these calls, for ten seconds at most.
    static func waitForCall(of pid: pid_t, in calls: [Int]) -> Bool {
        for _ in 0..<1000 {
            if let text = try? readFile("/proc/\(pid)/syscall"),
                let word = String(decoding: text, as: UTF8.self).split(separator: " ").first,
                let call = Int(word), calls.contains(call)
            {
                return true
            }
            usleep(10_000)
        }
        return false
    }

    static func end(_ pid: pid_t) {
        kill(pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, Int32(bitPattern: 0x4000_0000)) == pid, status & 0xff == 0x7f {}
    }
}
