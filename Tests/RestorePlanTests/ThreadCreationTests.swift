import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// By which thread each thread is made, and what it does then.
@Suite struct ThreadCreationTests {
    /// Process 100 with threads from 110 on, each with (directories, descriptors); 100 itself has (100, 100).
    private func sample(_ things: (directories: UInt32, files: UInt32)...) -> Sample {
        var sample = Sample()
        for (index, (directories, files)) in things.enumerated() {
            sample.addThread(110 + UInt32(index), of: 100)
            sample.records.threads[index + 1].directories = directories
            sample.records.threads[index + 1].fileTable = files
        }
        for id in Set(things.map(\.directories)).subtracting([100, 101]).sorted() { sample.addDirectories(id, working: "/away") }
        for id in Set(things.map(\.files)).subtracting([100, 101]).sorted() {
            var table = ImageFileTable()
            table.id = id
            sample.records.fileTables.append(table)
        }
        return sample
    }

    private func creation(_ sample: Sample) throws -> ThreadCreation { ThreadCreation(try sample.image()) }

    /// The threads that begin a thing.
    private func beginners(_ creation: ThreadCreation, _ kind: ThreadCreation.Kind) -> [UInt32] {
        (100..<130).filter { creation.begins(kind, $0) }
    }

    @Test func threadsThatShareEverything() throws {
        let creation = try creation(sample((100, 100), (100, 100)))
        #expect(creation.made == [100: [110, 111]])
        #expect(beginners(creation, .directories) == [] && beginners(creation, .files) == [])
        #expect(!creation.hasOwnTables(100) && creation.impossible.isEmpty)
        #expect(try ThreadCreation(Sample().image()).made.isEmpty)
    }

    @Test func directoriesOfTheirOwn() throws {
        let creation = try creation(sample((1, 100), (100, 100), (1, 100), (2, 100)))
        #expect(creation.made == [100: [110, 111, 113], 110: [112]])
        #expect(beginners(creation, .directories) == [110, 113] && beginners(creation, .files) == [])
        #expect(!creation.hasOwnTables(100) && creation.impossible.isEmpty)
    }

    @Test func descriptorsOfTheirOwn() throws {
        let creation = try creation(sample((100, 1), (100, 100), (100, 1), (100, 2)))
        #expect(creation.made == [100: [110, 111, 113], 110: [112]])
        #expect(beginners(creation, .files) == [110, 113] && beginners(creation, .directories) == [])
        #expect(creation.hasOwnTables(100) && !creation.hasOwnTables(101))
    }

    @Test func bothOfTheirOwn() throws {
        let alike = try creation(sample((1, 1), (1, 1)))
        #expect(alike.made == [100: [110], 110: [111]])
        #expect(beginners(alike, .directories) == [110] && beginners(alike, .files) == [110])
        let apart = try creation(sample((1, 1), (2, 2)))
        #expect(apart.made == [100: [110, 111]])
        #expect(beginners(apart, .directories) == [110, 111] && beginners(apart, .files) == [110, 111])
    }

    /// One step after the other: each is made by a thread that has the one thing.
    @Test func oneSharedTheOtherNot() throws {
        let creation = try creation(sample((1, 100), (1, 1), (1, 1), (2, 1)))
        #expect(creation.made == [100: [110], 110: [111], 111: [112, 113]])
        #expect(beginners(creation, .directories) == [110, 113] && beginners(creation, .files) == [111])
        #expect(creation.impossible.isEmpty)
    }

    /// What the first thread reaches comes first, whatever the order of the numbers.
    @Test func theFirstInTheImageIsNotTheFirstToBeMade() throws {
        let creation = try creation(sample((1, 1), (100, 1)))
        #expect(creation.made == [100: [111], 111: [110]])
        #expect(beginners(creation, .files) == [111] && beginners(creation, .directories) == [110])
        #expect(creation.impossible.isEmpty)
    }

    @Test func mixesThatCannotBeMade() throws {
        let sample = sample((1, 100), (100, 1), (1, 1))
        let creation = try creation(sample)
        #expect(creation.impossible.map(\.tid) == [112])
        #expect(creation.made == [100: [110, 111]])
        #expect(
            try sample.findings() == [
                "thread 112: shares directories with one thread and descriptors with another, which cannot be made again"
            ])
    }

    @Test func ownTablesInAProcessThatSharesItsOwn() throws {
        var sample = sample((100, 1))
        sample.share([\.fileTable], of: 100, by: 101)
        #expect(
            try sample.findings() == [
                "process 100: shares its descriptors with another process and has threads with descriptors of their own, which cannot be made again"
            ])
    }

    /// What another process has, too, would be two things afterwards.
    @Test func thingsOfAnotherProcess() throws {
        for (things, name) in [((UInt32(101), UInt32(100)), "directories"), ((100, 101), "descriptors")] {
            #expect(
                try sample(things).findings() == [
                    "thread 110: shares \(name) with another process, but not with its own, which cannot be made again"
                ])
        }
        // Of two threads in two processes, both are named.
        var sample = sample((1, 100))
        sample.addThread(120, of: 101)
        sample.records.threads[3].directories = 1
        #expect(try sample.findings().count == 2)
    }

    // MARK: In the plan

    private func names(_ program: Program) -> [String] { program.steps.map(\.name) }

    private func program(of tid: UInt32, _ plan: RestorePlan) throws -> Program {
        plan.launchpad.programs[try #require(plan.tasks.firstIndex { $0.tid == tid })]
    }

    /// The flags of `struct clone_args` of the threads that a program creates.
    private func flags(_ program: Program, _ plan: RestorePlan) -> [UInt64] {
        let data = plan.launchpad.encoded()
        return program.steps.filter { $0.name == "clone3" }.compactMap { step in
            guard case .value(let address) = step.arguments[0] else { return nil }
            let flags = data.littleEndian64(at: Int(address - plan.launchpad.dataStart))
            // CLONE_THREAD
            return flags & 0x10000 == 0 ? nil : flags
        }
    }

    /// CLONE_VM, CLONE_SIGHAND, CLONE_THREAD, CLONE_SYSVSEM.
    private let always: UInt64 = 0x100 | 0x800 | 0x10000 | 0x40000
    private let directories: UInt64 = 0x200
    private let files: UInt64 = 0x400

    /// 110 and 112 are in a directory of their own, 111 between them in that of its process.
    @Test func threadsInDirectoriesOfTheirOwn() throws {
        let plan = RestorePlan(for: try sample((1, 100), (100, 100), (1, 100)).valid())
        #expect(flags(try program(of: 100, plan), plan) == [always | files, always | files | directories])
        let own = try program(of: 110, plan)
        #expect(flags(own, plan) == [always | files | directories])
        #expect(names(own).firstIndex(of: "fchdir")! < names(own).firstIndex(of: "clone3")!)
        for tid in [UInt32(111), 112] { #expect(!names(try program(of: tid, plan)).contains("fchdir")) }
    }

    /// 110 has 1 open at 7, and 112 with it; its process has 2 at 5. Nothing is at the other one's number.
    @Test func threadsWithDescriptorsOfTheirOwn() throws {
        var sample = sample((100, 1), (100, 100), (100, 1))
        _ = sample.addFile(.event(.init()), at: [(2, 7)])
        _ = sample.addFile(.signal(.init()), at: [(0, 5)])
        let plan = RestorePlan(for: try sample.valid())
        let leader = try program(of: 100, plan)
        #expect(flags(leader, plan) == [always | directories, always | directories | files])
        let own = try program(of: 110, plan)
        #expect(flags(own, plan) == [always | directories | files])
        // The process makes both, and puts its own in place; the thread does so with its.
        #expect(names(leader).contains("eventfd2") && names(leader).contains("signalfd4"))
        #expect(!names(own).contains("eventfd2"))
        func placed(_ program: Program, _ number: Int64) -> Int? {
            program.steps.firstIndex { $0.name == "dup3" && $0.check == .equals(number) }
        }
        let drop = try #require(own.steps.firstIndex { $0.name == "close_range" })
        #expect(own.steps[drop].arguments == [0, .number(plan.high.base - 1), 0])
        let place = try #require(placed(own, 7))
        #expect(drop < place && place < names(own).firstIndex(of: "clone3")!)
        #expect(placed(own, 5) == nil && placed(leader, 7) == nil && placed(leader, 5) != nil)
        let other = try program(of: 112, plan)
        #expect(!names(other).contains("dup3") && !names(other).contains("close_range"))
    }

    /// What stands high goes when no table begins as a copy of it any more: all threads are there.
    @Test func highDescriptorsStayUntilAllThreadsExist() throws {
        let plan = RestorePlan(for: try sample((1, 100), (1, 1), (2, 1), (2, 2)).valid())
        let all: Step.Argument = 4
        for (tid, first) in [(UInt32(100), plan.high.firstDropped), (111, plan.high.base), (113, plan.high.base)] {
            let steps = try program(of: tid, plan).steps
            let drop = try #require(steps.lastIndex { $0.name == "close_range" }, "\(tid)")
            #expect(steps[drop].arguments == [.number(first), .value(0xffff_ffff), 0])
            let wait = try #require(steps[..<drop].lastIndex { $0.name == "wait" })
            #expect(steps[wait].arguments[1] == all)
            if let made = steps.lastIndex(where: { $0.name == "clone3" }) { #expect(made < wait) }
            // A thread that waits for all has said before that it is there itself.
            if tid != 100 { #expect(steps[..<wait].contains { $0.name == "advance" && $0.arguments == [steps[wait].arguments[0]] }) }
        }
        for tid in [UInt32(110), 112] { #expect(!names(try program(of: tid, plan)).contains("close_range")) }
    }

    /// A timer that only a thread's table leads to is set going by this thread, under the number that it has there.
    @Test func timersOfAThreadsOwnTable() throws {
        var sample = sample((100, 1))
        for places in [[(2, UInt32(9))], [(0, 4), (2, 4)]] {
            let file = sample.addFile(.timer(.init()), at: places.map { (process: $0.0, number: $0.1) })
            sample.records.openFiles[file].timer.clock = 1
            sample.records.openFiles[file].timer.remaining = 5
        }
        sample.records.fileTables[2].descriptors.sort { $0.number < $1.number }
        let plan = RestorePlan(for: try sample.valid())
        func set(_ tid: UInt32) throws -> [Step.Argument] {
            try program(of: tid, plan).steps.filter { $0.name == "timerfd_settime" }.map { $0.arguments[0] }
        }
        #expect(try set(110) == [9])
        // The one that both tables lead to is set once.
        #expect(try set(100) == [4])
    }
}
