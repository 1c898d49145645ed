import CKernel
import Glibc
import Testing

@testable import Kernel

/// What the kernel says about its objects, as recorded.
@Suite struct ObjectTextTests {
    private func info(_ lines: String) throws -> DescriptorInfo {
        try DescriptorInfo(parsing: Array("pos:\t0\nflags:\t04002\nmnt_id:\t17\nino:\t20\n\(lines)".utf8))
    }

    @Test func eventFile() throws {
        let state = try #require(
            EventFileState(try info("eventfd-count:      10000000005\neventfd-id: 4\neventfd-semaphore: 1\n")))
        #expect(state == EventFileState(count: 0x100_0000_0005, isSemaphore: true))
        // Linux 6.1 says less.
        let older = try #require(EventFileState(try info("eventfd-count:                5\neventfd-id: 4\n")))
        #expect(older == EventFileState(count: 5, isSemaphore: nil))
        #expect(EventFileState(try info("sigmask:\t0\n")) == nil)
    }

    @Test func signalFile() throws {
        #expect(SignalFileState(try info("sigmask:\t0000000000000200\n"))?.mask == 1 << 9)
        #expect(SignalFileState(try info("")) == nil)
    }

    @Test func timerFile() throws {
        let lines = """
            clockid: 0
            ticks: 77
            settime flags: 03
            it_value: (49, 343884189)
            it_interval: (0, 20000000)

            """
        let state = try #require(TimerFileState(try info(lines)))
        #expect(state.clock == 0 && state.expirations == 77 && state.flags == 3)
        #expect(state.remaining == 49_343_884_189 && state.interval == 20_000_000)
        for cut in ["clockid: 0\n", lines.replacing("(49,", with: "(49"), lines.replacing("ticks: 77\n", with: "")] {
            #expect(TimerFileState(try info(cut)) == nil)
        }
    }

    @Test func epoll() throws {
        let lines = """
            tfd:        3 events: c0000019 data:         deadbeef  pos:0 ino:14 sdev:10
            tfd:        5 events: 10000019 data: ffffffffffffffff  pos:-1 ino:1f sdev:10
            tfd:        3 events:       19 data:                0  pos:0 ino:14 sdev:10

            """
        let state = try EpollState(try info(lines))
        #expect(state.registrations.map(\.number) == [3, 5, 3])
        #expect(state.registrations.map(\.events) == [0xc000_0019, 0x1000_0019, 0x19])
        #expect(state.registrations.map(\.data) == [0xdead_beef, .max, 0])
        #expect(state.registrations.map(\.inode) == [0x14, 0x1f, 0x14])
        #expect(state.registrations.map(\.place) == [0, 0, 1])
        #expect(try EpollState(try info("")).registrations.isEmpty)
        #expect(throws: SystemError.self) { try EpollState(try info("tfd: 3 events: 19\n")) }
    }

    @Test func posixTimers() throws {
        let text = """
            ID: 11
            signal: 14/000000000000000b
            notify: signal/pid.5709
            ClockID: 11
            ID: 9
            signal: 34/0000123456789abc
            notify: signal/tid.5710
            ClockID: -2
            ID: 7
            signal: 0/0000000000000000
            notify: none/pid.5709
            ClockID: -6

            """
        let timers = try PosixTimerState.parse(Array(text.utf8))
        #expect(timers.map(\.id) == [7, 9, 11])
        #expect(timers.map(\.notify) == [.none, .thread(5710), .signal])
        #expect(timers.map(\.clock) == [-6, -2, 11])
        #expect(timers[1].signal == 34 && timers[1].value == 0x1234_5678_9abc)
        #expect(try PosixTimerState.parse([]).isEmpty)
        for end in [3, 10, 40, 60] {
            #expect(throws: SystemError.self) { try PosixTimerState.parse(Array(text.utf8.prefix(end))) }
        }
    }

    /// A program may leave anything in the signal of a timer that notifies nobody.
    @Test func timerWithANumberThatIsNoSignal() throws {
        let text = "ID: 7\nsignal: -77/0000000000000000\nnotify: none/pid.5710\nClockID: 1\n"
        let timers = try PosixTimerState.parse(Array(text.utf8))
        #expect(timers.map(\.notify) == [.none] && timers.map(\.signal) == [UInt32(bitPattern: -77)])
    }

    @Test func messageQueues() throws {
        let text = """
                   key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime
                     0          3   604          60          1    17     0 65534     5     0     0 1795271395          0 1795271395
             -16777215      32769   640           8          3     0    19     0     0     0     0          0 1795271395 1795271395

            """
        let queues = try MessageQueueState.parse(Array(text.utf8))
        #expect(queues.map(\.number) == [3, 32769])
        #expect(queues.map(\.key) == [0, 0xff00_0001])
        #expect(queues.map(\.mode) == [0o604, 0o640])
        #expect(queues.map(\.size) == [60, 8])
        #expect(queues.map(\.owner) == [65534, 0] && queues[0].group == 5)
        #expect(queues.map(\.lastSender) == [17, 0] && queues.map(\.lastReceiver) == [0, 19])
        #expect(throws: SystemError.self) { try MessageQueueState.parse(Array(text.utf8.prefix(180))) }
    }

    @Test func notificationOfQueue() {
        func found(_ text: String) -> QueueFileState.Notification? { QueueFileState.notification(in: Array(text.utf8)) }
        #expect(found("QSIZE:0          NOTIFY:0     SIGNO:35    NOTIFY_PID:8260  \n") == .init(process: 8260, method: 0, signal: 35))
        #expect(found("QSIZE:9          NOTIFY:2     SIGNO:0     NOTIFY_PID:77    \n") == .init(process: 77, method: 2, signal: 0))
        #expect(found("QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n") == nil)
        #expect(found("") == nil)
    }

    @Test func semaphoreSets() throws {
        let text = """
                   key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime
                     0      98304   600          3     0     5     0     0          0 1795271395
             -16777215          1  1644          1 65534     0     0     0 1795271395 1795271395

            """
        let sets = try SemaphoreSetState.parse(Array(text.utf8))
        #expect(sets.map(\.number) == [98304, 1])
        #expect(sets.map(\.key) == [0, 0xff00_0001])
        #expect(sets.map(\.mode) == [0o600, 0o644])
        #expect(sets.map(\.count) == [3, 1])
        #expect(sets.map(\.owner) == [0, 65534] && sets[0].group == 5)
    }

    /// A timer that expires all the time is never taken for one that was disarmed with its interval kept.
    @Test func periodicTimerFiles() throws {
        let timer = Int32(ckernel_syscall(Int(SYS_timerfd_create), Int(CLOCK_MONOTONIC), 0, 0, 0, 0, 0))
        try #require(timer >= 0)
        defer { close(timer) }
        func set(value: Int, interval: Int) {
            var new = itimerspec(it_interval: timespec(tv_sec: 0, tv_nsec: interval), it_value: timespec(tv_sec: 0, tv_nsec: value))
            let result = withUnsafePointer(to: &new) { pointer in
                ckernel_syscall(Int(SYS_timerfd_settime), Int(timer), 0, Int(bitPattern: pointer), 0, 0, 0)
            }
            #expect(result == 0)
        }
        for interval in [1000, 20_000, 1_000_000] {
            set(value: interval, interval: interval)
            for _ in 0..<500 {
                let state = try #require(try TimerFileState.read(of: getpid(), descriptor: timer))
                #expect(state.remaining > 0 && state.interval == UInt64(interval))
            }
        }
        set(value: 0, interval: 1_000_000)
        let disarmed = try #require(try TimerFileState.read(of: getpid(), descriptor: timer))
        #expect(disarmed.remaining == 0 && disarmed.interval == 1_000_000)
    }
}
