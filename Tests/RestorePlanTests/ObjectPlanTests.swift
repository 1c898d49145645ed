import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// Plans and refusals of kernel objects: one test for each step that matters and for each reason to refuse.
@Suite struct ObjectPlanTests {
    private func steps(_ sample: Sample, of index: Int = 0) throws -> [Step] {
        RestorePlan(for: try sample.valid()).launchpad.programs[index].steps
    }

    private func index(_ name: String, in steps: [Step]) throws -> Int {
        try #require(steps.firstIndex { $0.name == name }, "no \(name)")
    }

    /// Bytes in the data segment that a step's argument points to.
    private func bytes(_ plan: RestorePlan, _ argument: Step.Argument, _ count: Int) throws -> [UInt8] {
        guard case .value(let address) = argument else { throw Missing() }
        let start = Int(address - plan.launchpad.dataStart)
        return Array(plan.launchpad.data[start..<start + count])
    }

    private struct Missing: Error {}

    // MARK: eventfd

    @Test func eventFileIsMadeWithItsCount() throws {
        var sample = Sample()
        let file = sample.addFile(.event(.init()), at: [(0, 7)])
        sample.records.openFiles[file].flags = 0o4002
        sample.records.openFiles[file].event.count = 5
        sample.records.openFiles[file].event.semaphore = true
        let all = try steps(sample)
        let made = try index("eventfd2", in: all)
        #expect(all[made].arguments == [5, .value(0o2004001)])
        let placed = try #require(all.first { $0.name == "dup3" && $0.check == .equals(7) })
        #expect(placed.arguments[0] == all[made + 1].arguments[1])
    }

    @Test func largeCountIsWritten() throws {
        var sample = Sample()
        let file = sample.addFile(.event(.init()), at: [(0, 7)])
        sample.records.openFiles[file].event.count = 1 << 32
        let plan = RestorePlan(for: try sample.valid())
        let all = plan.launchpad.programs[0].steps
        let made = try index("eventfd2", in: all)
        #expect(all[made].arguments[0] == 0)
        #expect(all[made + 1].name == "write" && all[made + 1].check == .equals(8))
        #expect(try bytes(plan, all[made + 1].arguments[1], 8) == [0, 0, 0, 0, 1, 0, 0, 0])
    }

    @Test func sharedEventFileIsMadeOnceBeforeTheFork() throws {
        var sample = Sample()
        _ = sample.addFile(.event(.init()), at: [(0, 7), (1, 9)])
        let root = try steps(sample)
        #expect(try index("eventfd2", in: root) < (try index("clone3", in: root)))
        #expect(try !steps(sample, of: 1).contains { $0.name == "eventfd2" })
    }

    // MARK: signalfd

    @Test func signalFileGetsItsSignals() throws {
        var sample = Sample()
        let file = sample.addFile(.signal(.init()), at: [(0, 7)])
        sample.records.openFiles[file].signal.mask = 0x201
        let plan = RestorePlan(for: try sample.valid())
        let made = try #require(plan.launchpad.programs[0].steps.first { $0.name == "signalfd4" })
        #expect(try bytes(plan, made.arguments[1], 8) == [1, 2, 0, 0, 0, 0, 0, 0])
    }

    // MARK: timerfd

    /// On a clock that cannot be set there is no difference between relative and absolute.
    @Test func timerFileIsSetGoingAfterTheGo() throws {
        var sample = Sample()
        let file = sample.addFile(.timer(.init()), at: [(0, 7), (1, 7)])
        sample.records.openFiles[file].timer.clock = 7
        sample.records.openFiles[file].timer.remaining = 2_500_000_000
        sample.records.openFiles[file].timer.interval = 1
        let plan = RestorePlan(for: try sample.valid())
        let root = plan.launchpad.programs[0].steps
        #expect(root[try index("timerfd_create", in: root)].arguments[0] == 7)
        let set = try index("timerfd_settime", in: root)
        #expect(try #require(root.lastIndex { $0.name == "wait" }) < set)
        #expect(root[set].arguments[0] == 7 && root[set].arguments[1] == 1)
        #expect(try bytes(plan, root[set].arguments[2], 16).chunked() == [0, 1])
        guard case .value(let value) = root[set].arguments[2] else { throw Missing() }
        #expect(plan.deadlines == [Deadline(address: value + 16, clock: 7, left: 2_500_000_000)])
        // By one of its holders alone.
        #expect(!plan.launchpad.programs[1].steps.contains { $0.name == "timerfd_settime" })
        #expect(!root.contains { $0.name == "ioctl" })
    }

    @Test func relativeTimerOnTheRealTimeClockStaysRelative() throws {
        var sample = Sample()
        let file = sample.addFile(.timer(.init()), at: [(0, 7)])
        sample.records.openFiles[file].timer.remaining = 9
        let plan = RestorePlan(for: try sample.valid())
        let root = plan.launchpad.programs[0].steps
        let set = try index("timerfd_settime", in: root)
        #expect(root[set].arguments[1] == 0)
        guard case .value(let value) = root[set].arguments[2] else { throw Missing() }
        #expect(plan.releaseTimes == [ReleaseTime(address: value + 16, unit: .nanoseconds, left: 9, clock: 0)])
        #expect(plan.deadlines.isEmpty)
    }

    @Test func timerWithAnIntervalAloneStaysDisarmed() throws {
        var sample = Sample()
        let file = sample.addFile(.timer(.init()), at: [(0, 7)])
        sample.records.openFiles[file].timer.clock = 1
        sample.records.openFiles[file].timer.interval = 1_000_000_001
        let plan = RestorePlan(for: try sample.valid())
        let root = plan.launchpad.programs[0].steps
        let set = try index("timerfd_settime", in: root)
        #expect(try bytes(plan, root[set].arguments[2], 32).chunked() == [1, 1, 0, 0])
        #expect(plan.deadlines.isEmpty && plan.releaseTimes.isEmpty)
    }

    @Test func timerOnCPUTimeKeepsWhatItHadLeft() throws {
        var sample = Sample()
        sample.records.processes[0].posixTimers = [Sample.timer(1)]
        sample.records.processes[0].posixTimers[0].clock = -6
        let plan = RestorePlan(for: try sample.valid())
        let root = plan.launchpad.programs[0].steps
        let set = try index("timer_settime", in: root)
        #expect(root[set].arguments[1] == 0)
        #expect(try bytes(plan, root[set].arguments[2], 32).chunked() == [0, 0, 3, 5])
        #expect(plan.deadlines.isEmpty && plan.releaseTimes.isEmpty)
    }

    /// What the monitor writes: in the tree's own clock where it has one, else in the host's.
    @Test func deadlinesInBothModels() {
        var header = ImageHeader()
        header.bootID = "boot"
        header.begin.realtime = 1_000_000_000_000
        header.begin.monotonic = 50_000_000_000
        header.begin.boottime = 60_000_000_000
        let release = TimePlan.Instant(
            realtime: 1_010_000_000_000, monotonic: 60_000_000_000, boottime: 70_000_000_000)
        func words(_ clock: UInt32, _ left: Int64, _ model: TimeModel, namespace: Bool = true, lead: Int64 = 0) -> [UInt64] {
            let plan = TimePlan(
                header, offsets: (3_000_000_000, 0), model: model, bootID: "boot", mayMakeNamespace: namespace)
            return Deadline(address: 0, clock: clock, left: left).words(plan, at: release, lead: lead)
        }
        // Its number on the tree's clock is the same in both models.
        #expect(words(1, 2_000_000_001, .relative) == [55, 1])
        #expect(words(1, 2_000_000_001, .absolute) == [55, 1])
        #expect(words(7, -1_000_000_000, .relative) == [59, 0])
        // A clock that has run while the tree loaded is ahead: the deadline goes with it.
        #expect(words(1, 2_000_000_001, .relative, lead: 3_000_000_000) == [58, 1])
        #expect(words(7, -1_000_000_000, .relative, lead: 1_000_000_000) == [60, 0])
        #expect(words(0, 2_000_000_000, .relative, lead: 1_000_000_000) == [1012, 0])
        // Without a namespace: what is left from the release, on the host's clock; ten seconds count.
        #expect(words(1, 2_000_000_000, .relative, namespace: false) == [62, 0])
        #expect(words(1, 2_000_000_000, .absolute, namespace: false) == [52, 0])
        // The real-time clock is the host's.
        #expect(words(0, 2_000_000_000, .relative) == [1012, 0])
        #expect(words(0, 2_000_000_000, .absolute) == [1002, 0])
        // Never zero, which would disarm.
        #expect(words(9, -.max / 2, .relative) == [0, 1])
    }

    @Test func absoluteTimerFileGetsADeadline() throws {
        var sample = Sample()
        let file = sample.addFile(.timer(.init()), at: [(0, 7)])
        sample.records.openFiles[file].timer.flags = 3
        sample.records.openFiles[file].timer.remaining = 9
        sample.records.openFiles[file].timer.expirations = 4
        let plan = RestorePlan(for: try sample.valid())
        let root = plan.launchpad.programs[0].steps
        let set = try index("timerfd_settime", in: root)
        #expect(root[set].arguments[1] == 3)
        guard case .value(let value) = root[set].arguments[2] else { throw Missing() }
        #expect(plan.deadlines == [Deadline(address: value + 16, clock: 0, left: 9)])
        // The count comes after the time, which would take it back.
        #expect(root[set + 1].name == "ioctl")
        #expect(try bytes(plan, root[set + 1].arguments[2], 8).chunked() == [4])
    }

    @Test func timerFileThatWasNeverSetIsNotSet() throws {
        var sample = Sample()
        _ = sample.addFile(.timer(.init()), at: [(0, 7)])
        #expect(try !steps(sample).contains { $0.name == "timerfd_settime" })
    }

    @Test func expirationsThatCannotBeSet() throws {
        var sample = Sample()
        let file = sample.addFile(.timer(.init()), at: [(0, 7)])
        sample.records.openFiles[file].timer.expirations = 1
        sample.facts.maySetExpirations = false
        #expect(try sample.findings().contains { $0.contains("CONFIG_CHECKPOINT_RESTORE") })
    }

    @Test func timersThatWakeTheSystem() throws {
        var sample = Sample()
        let file = sample.addFile(.timer(.init()), at: [(0, 7)])
        sample.records.openFiles[file].timer.clock = 9
        sample.records.processes[0].posixTimers = [Sample.timer(1)]
        sample.records.processes[0].posixTimers[0].clock = 8
        sample.facts.mayWakeSystem = false
        #expect(try sample.findings().filter { $0.contains("CAP_WAKE_ALARM") }.count == 2)
    }

    // MARK: epoll

    @Test func registrationsAreMadeUnderTheirNumbers() throws {
        var sample = Sample()
        let event = sample.addFile(.event(.init()), at: [(0, 7)])
        let epoll = sample.addFile(.epoll(.init()), at: [(0, 8)])
        sample.watch(epoll, sample.records.openFiles[event].id, number: 70, events: 0x8000_0001, data: 0x1122)
        let plan = RestorePlan(for: try sample.valid())
        let root = plan.launchpad.programs[0].steps
        let control = try index("epoll_ctl", in: root)
        #expect(root[control - 1].name == "dup3" && root[control - 1].check == .equals(70))
        #expect(root[control].arguments[1] == 1 && root[control].arguments[2] == 70)
        #expect(try bytes(plan, root[control].arguments[3], 12) == [1, 0, 0, 0x80, 0x22, 0x11, 0, 0, 0, 0, 0, 0])
        #expect(root[control + 1].name == "close" && root[control + 1].arguments == [70])
        // All that is watched is there; none of the final numbers is taken yet.
        #expect(try index("eventfd2", in: root) < control)
        let placed = try #require(root.firstIndex { $0.name == "dup3" && $0.check == .equals(7) })
        #expect(control < placed)
    }

    @Test func watchedFileOfAnotherProcessIsInherited() throws {
        var sample = Sample()
        sample.addProcess(102, parent: 100)
        let event = sample.addFile(.event(.init()), at: [(2, 7)])
        let epoll = sample.addFile(.epoll(.init()), at: [(1, 8)])
        sample.watch(epoll, sample.records.openFiles[event].id, number: 7, events: 1, data: 0)
        // The common ancestor makes it, although it uses neither.
        let root = try steps(sample)
        #expect(try index("eventfd2", in: root) < (try index("clone3", in: root)))
        #expect(try steps(sample, of: 1).contains { $0.name == "epoll_ctl" })
        #expect(try !steps(sample, of: 2).contains { $0.name == "epoll_ctl" || $0.name == "eventfd2" })
    }

    @Test func sharedEpollIsFilledByOneHolder() throws {
        var sample = Sample()
        let event = sample.addFile(.event(.init()), at: [(0, 7), (1, 7)])
        let epoll = sample.addFile(.epoll(.init()), at: [(0, 8), (1, 8)])
        sample.watch(epoll, sample.records.openFiles[event].id, number: 7, events: 1, data: 0)
        #expect(try steps(sample).filter { $0.name == "epoll_ctl" }.count == 1)
        #expect(try !steps(sample, of: 1).contains { $0.name == "epoll_ctl" })
    }

    @Test func standInThatCannotBeWatched() throws {
        var sample = Sample()
        let outside = sample.addFile(.outside(.init()), at: [(0, 0)])
        let epoll = sample.addFile(.epoll(.init()), at: [(0, 8)])
        sample.watch(epoll, sample.records.openFiles[outside].id, number: 0, events: 1, data: 0)
        #expect(try sample.findings() == [])
        sample.facts.watchable = [false, true, true]
        #expect(try sample.findings().contains { $0.contains("descriptor 0 of crrestart") })
    }

    // MARK: POSIX timers

    @Test func timerIsMadeWithItsNumber() throws {
        var sample = Sample()
        sample.records.processes[0].posixTimers = [Sample.timer(42)]
        let plan = RestorePlan(for: try sample.valid())
        let root = plan.launchpad.programs[0].steps
        let made = try index("timer_create", in: root)
        #expect(root[made - 1].name == "prctl" && root[made - 1].arguments == [77, 1, 0, 0, 0])
        #expect(root[made + 1].name == "prctl" && root[made + 1].arguments == [77, 0, 0, 0, 0])
        #expect(try bytes(plan, root[made].arguments[2], 8).chunked() == [42])
        let event = try bytes(plan, root[made].arguments[1], 64)
        // Value, signal and way, thread.
        #expect(event.chunked()[0...2] == [0xabc, 14, 0])
        let set = try index("timer_settime", in: root)
        #expect(root[set].arguments[0] == 42 && root[set].arguments[1] == 1)
        #expect(plan.deadlines.map(\.left) == [3_000_000_005])
    }

    @Test func numbersAreCountedUpWhereTheyCannotBeChosen() throws {
        var sample = Sample()
        sample.records.processes[0].posixTimers = [Sample.timer(2), Sample.timer(3)]
        sample.facts.mayChooseTimerIDs = false
        let names = try steps(sample).map(\.name).filter { $0 == "timer_create" || $0 == "timer_delete" }
        #expect(
            names == ["timer_create", "timer_delete", "timer_create", "timer_delete", "timer_create", "timer_create"])
        sample.records.processes[0].posixTimers[1].id = 5000
        #expect(try sample.findings().contains { $0.contains("PR_TIMER_CREATE_RESTORE_IDS") })
    }

    @Test func waitingSignalComesFromTheTimerItself() throws {
        var sample = Sample()
        var timer = Sample.timer(6)
        timer.interval = 10_000
        timer.remaining = 4_000
        sample.records.processes[0].posixTimers = [timer]
        sample.records.processes[0].pending = [Sample.timerSignal(6), Sample.timerSignal(99)]
        let plan = RestorePlan(for: try sample.valid())
        let root = plan.launchpad.programs[0].steps
        // It expired 6000 ns ago; a signal of a timer that is gone is queued as it is.
        #expect(plan.deadlines.map(\.left) == [-6_000] && plan.deadlines[0].clock == 1)
        #expect(root[try index("timer_settime", in: root)].arguments[1] == 1)
        #expect(root.filter { $0.name == "rt_sigqueueinfo" }.count == 1)
        #expect(root.filter { $0.name == "timer_settime" }.count == 1)
    }

    @Test func expiredOnceAndWaitingInAThread() throws {
        var sample = Sample()
        var timer = Sample.timer(6)
        timer.notify = .thread
        timer.thread = 100
        timer.remaining = 0
        sample.records.processes[0].posixTimers = [timer]
        sample.records.threads[0].pending = [Sample.timerSignal(6)]
        let plan = RestorePlan(for: try sample.valid())
        let root = plan.launchpad.programs[0].steps
        #expect(root.contains { $0.name == "timer_settime" })
        #expect(plan.deadlines.map(\.left) == [-1])
        #expect(!root.contains { $0.name == "rt_tgsigqueueinfo" })
    }

    @Test func overrunIsMadeAgain() throws {
        var sample = Sample()
        var timer = Sample.timer(6)
        timer.interval = 1_000
        timer.remaining = 400
        timer.overrun = 2
        sample.records.processes[0].posixTimers = [timer]
        let plan = RestorePlan(for: try sample.valid())
        let root = plan.launchpad.programs[0].steps
        #expect(plan.deadlines.map(\.left) == [-2_600])
        let taken = try index("rt_sigtimedwait", in: root)
        #expect(root[taken - 1].name == "timer_settime")
        #expect(root[taken].check == .equals(14))
    }

    // MARK: Semaphore sets

    private func semaphores(_ here: HostFacts.SemaphoreSet?) throws -> Sample {
        var sample = Sample()
        var set = ImageSemaphoreSet()
        set.id = 1
        set.number = 5
        set.key = 0x77
        set.values = [1, 2]
        set.users = [4711]
        sample.records.semaphoreSets = [set]
        if let here { sample.facts.semaphoreSets[5] = here }
        return sample
    }

    @Test func semaphoreSetThatIsGoneIsMade() throws {
        var sample = try semaphores(nil)
        #expect(try sample.valid().semaphores.map(\.isMade) == [true])
        #expect(try sample.valid().semaphores[0].changes == [0, 1])
        sample.facts.mayChooseSemaphoreNumbers = false
        #expect(try sample.findings().contains { $0.contains("semaphore set 5 (key 0x77): is gone") })
    }

    @Test func semaphoreSetThatIsThereIsUsed() throws {
        let sample = try semaphores(HostFacts.SemaphoreSet(key: 0x77, values: [1, 2], changers: [9, 9]))
        #expect(try sample.valid().semaphores.map(\.isMade) == [false])
        #expect(try sample.valid().semaphores[0].changes == [])
    }

    @Test func valueChangedByTheTreesOwnEndIsPutBack() throws {
        let sample = try semaphores(HostFacts.SemaphoreSet(key: 0x77, values: [1, 3], changers: [9, 4711]))
        #expect(try sample.valid().semaphores[0].changes == [1])
    }

    @Test func valueChangedBySomebodyElse() throws {
        let sample = try semaphores(
            HostFacts.SemaphoreSet(key: 0x77, values: [1, 3], changers: [4711, 9], names: [9: "postgres"]))
        #expect(try sample.findings().contains { $0.contains("semaphore 1 was 2 and is 3: changed by 9 postgres") })
    }

    /// The number of a process of the tree, which has ended, is that of another one by now.
    @Test func valueChangedBySomebodyWithTheSameNumber() throws {
        let sample = try semaphores(
            HostFacts.SemaphoreSet(key: 0x77, values: [1, 3], changers: [4711, 4711], names: [4711: "postgres"]))
        #expect(try sample.findings().contains { $0.contains("changed by 4711 postgres, which is alive") })
    }

    /// An image can claim that its tree was the last one to change a set of somebody else.
    @Test func valueThatTheTreeMayNotChange() throws {
        var sample = try semaphores(nil)
        func findings(_ rights: HostFacts.SemaphoreSet.Rights) throws -> [String] {
            sample.facts.semaphoreSets[5] = HostFacts.SemaphoreSet(key: 0x77, values: [1, 3], changers: [4711, 4711], rights: rights)
            return try sample.findings()
        }
        for index in sample.records.threads.indices {
            sample.records.threads[index].credentials.effectiveUser = 1000
            sample.records.threads[index].credentials.effectiveGroup = 1000
            sample.records.threads[index].credentials.groups = [7]
        }
        let refused = "semaphore set 5 (key 0x77): belongs to user 0, and no task of the tree may change it"
        for (group, mode) in [(UInt32(0), UInt32(0o660)), (7, 0o640), (1000, 0o606), (0, 0o664)] {
            let found = try findings(.init(owner: 0, creator: 0, group: group, creatorGroup: 0, mode: mode))
            #expect(found.contains { $0.hasPrefix(refused) }, "\(group) \(mode)")
        }
        for (owner, creator, group, mode) in [(UInt32(1000), UInt32(0), UInt32(0), UInt32(0o600)), (0, 1000, 0, 0o600), (0, 0, 7, 0o660), (0, 0, 0, 0o662)] {
            #expect(try findings(.init(owner: owner, creator: creator, group: group, creatorGroup: 0, mode: mode)).isEmpty)
        }
        sample.records.threads[1].credentials.effective = 1 << 15
        sample.records.threads[1].credentials.permitted = 1 << 15
        sample.facts.ownCredentials.permitted = .max
        #expect(try findings(.init(owner: 0, creator: 0, group: 0, creatorGroup: 0, mode: 0o600)).isEmpty)
    }

    @Test func numberOfAnotherSemaphoreSet() throws {
        let sample = try semaphores(HostFacts.SemaphoreSet(key: 0, values: [1, 2], changers: [0, 0]))
        #expect(try sample.findings().contains { $0.contains("its number belongs to another set here") })
    }

    @Test func keyOfAnotherSemaphoreSet() throws {
        var sample = try semaphores(nil)
        sample.facts.semaphoreSets[6] = HostFacts.SemaphoreSet(key: 0x77, values: [], changers: [])
        #expect(try sample.findings().contains { $0.contains("its key belongs to set 6 here") })
    }
}

extension [UInt8] {
    /// As little-endian words.
    fileprivate func chunked() -> [UInt64] {
        stride(from: 0, to: count, by: 8).map { littleEndian64(at: $0) }
    }
}
