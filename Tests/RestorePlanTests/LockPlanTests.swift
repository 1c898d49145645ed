import CheckpointImage
import LinuxABI
import StepProgram
import Testing

@testable import RestorePlan

/// Locks of files and FIFOs: what is found, and in which order they are made.
@Suite struct LockPlanTests {
    private static func lock(_ kind: ImageFileLock.Kind, write: Bool = true, start: UInt64 = 0, length: UInt64 = 0, file: UInt32 = 0) -> ImageFileLock {
        var lock = ImageFileLock()
        (lock.kind, lock.write, lock.start, lock.length, lock.file) = (kind, write, start, length, file)
        return lock
    }

    /// A sample whose root and child have a file at 7; its index.
    private func locked(_ locks: [ImageFileLock], posix: [ImageFileLock] = []) -> Sample {
        var sample = Sample()
        var named = ImageNamedFile()
        named.identity.path = Array("/tmp/lock".utf8).asData
        named.identity.mode = FileMode.S_IFREG | 0o600
        let file = sample.addFile(.named(named), at: [(0, 7), (1, 7)])
        sample.records.openFiles[file].flags = OpenFlag.O_RDWR
        sample.records.openFiles[file].locks = locks
        let id = sample.records.openFiles[file].id
        sample.records.fileTables[1].locks = posix.map {
            var lock = $0
            lock.file = id
            return lock
        }
        sample.facts.files[Array("/tmp/lock".utf8)] = .success(HostFacts.File(size: 0, modified: 0, mode: FileMode.S_IFREG | 0o600, buildID: []))
        return sample
    }

    private func programs(_ sample: Sample) throws -> [[Step]] { RestorePlan(for: try sample.valid()).launchpad.programs.map(\.steps) }

    private func findings(_ sample: Sample) throws -> [String] {
        do {
            _ = try sample.valid()
            return []
        } catch let error as ValidImage.Refusal { return error.findings.map(\.line) }
    }

    /// By one of its holders alone, without waiting.
    @Test func locksOfAnOpenFileAreTakenOnce() throws {
        let all = try programs(locked([Self.lock(.flock)]))
        let taken = all.map { $0.filter { $0.name == "flock" } }
        #expect(taken.flatMap { $0 }.count == 1 && taken[0].count == 1)
        #expect(taken[0].first?.arguments[1] == .value(Flock.LOCK_EX | Flock.LOCK_NB))
        let shared = try programs(locked([Self.lock(.flock, write: false)]))
        #expect(shared[0].first { $0.name == "flock" }?.arguments[1] == .value(Flock.LOCK_SH | Flock.LOCK_NB))
    }

    /// Closing any descriptor of the file would drop them, so they come after everything that is closed.
    @Test func posixLocksComeLast() throws {
        let child = try programs(locked([], posix: [Self.lock(.posix, start: 10, length: 5)]))[1]
        let taken = try #require(child.firstIndex { $0.name == "fcntl" && $0.arguments[1] == .value(Fcntl.F_SETLK) })
        #expect(child[taken].arguments[0] == 7)
        #expect(try #require(child.lastIndex { $0.name == "close_range" }) < taken)
        #expect(try #require(child.lastIndex { $0.name == "dup3" }) < taken)
    }

    @Test func leasesComeWhenNothingOpensTheFileAnyMore() throws {
        let root = try programs(locked([Self.lock(.lease, write: false)]))[0]
        let taken = try #require(root.firstIndex { $0.name == "fcntl" && $0.arguments[1] == .value(Fcntl.F_SETLEASE) })
        #expect(try #require(root.lastIndex { $0.name == "openat2" || $0.name == "openat" }) < taken)
    }

    /// By kind and range: flock and ranges do not exclude each other.
    @Test(arguments: [
        (HeldLock(kind: .flock, isWrite: false, holder: "77 dpkg"), true), (HeldLock(kind: .range, isWrite: true, holder: "77 dpkg"), false),
        (HeldLock(kind: .lease, isWrite: true, holder: "77 dpkg"), false),
    ]) func lockOfAnotherProgram(_ other: HeldLock, stands: Bool) throws {
        var sample = locked([Self.lock(.flock)])
        sample.facts.locks[Array("/tmp/lock".utf8)] = [other]
        let expected = "/tmp/lock: is locked by 77 dpkg, and fd 7 had an exclusive lock (flock) on it (end that program, or let it unlock the file)"
        #expect(try findings(sample) == (stands ? [expected] : []))
    }

    @Test(arguments: [(UInt64(0), UInt64(9), false), (14, 14, true), (15, .max, false), (0, .max, true)])
    func rangesThatMeet(first: UInt64, last: UInt64, stands: Bool) throws {
        var sample = locked([], posix: [Self.lock(.posix, write: false, start: 10, length: 5)])
        sample.facts.locks[Array("/tmp/lock".utf8)] = [HeldLock(kind: .range, isWrite: true, start: first, last: last, holder: "77 x")]
        #expect(try findings(sample).isEmpty != stands)
        // Readers do not exclude each other.
        sample.facts.locks[Array("/tmp/lock".utf8)] = [HeldLock(kind: .range, isWrite: false, start: first, last: last, holder: "77 x")]
        #expect(try findings(sample).isEmpty)
    }

    private func fifo(_ ends: [(flags: UInt32, isHungUp: Bool)], contents: String = "") -> Sample {
        var sample = Sample()
        var pipe = ImagePipe()
        (pipe.id, pipe.capacity) = (5, 65536)
        if !contents.isEmpty { pipe.contents = [Array(contents.utf8).asData] }
        sample.records.pipes.append(pipe)
        for (index, one) in ends.enumerated() {
            var end = ImageFifoEnd()
            end.pipe = 5
            end.identity.path = Array("/tmp/fifo".utf8).asData
            end.identity.mode = FileMode.S_IFIFO | 0o600
            end.hungUp = one.isHungUp
            let file = sample.addFile(.fifo(end), at: [(0, UInt32(7 + index))])
            sample.records.openFiles[file].flags = one.flags
        }
        sample.facts.files[Array("/tmp/fifo".utf8)] = .success(HostFacts.File(size: 0, modified: 0, mode: FileMode.S_IFIFO | 0o600, buildID: []))
        return sample
    }

    /// A reader that never had a writer must not be told of an end, so no writer may be there even for a moment.
    @Test func lonelyReaderIsOpenedAlone() throws {
        let root = try programs(fifo([(OpenFlag.O_RDONLY, false)]))[0]
        #expect(!root.contains { $0.note.contains("both ends for a while") })
    }

    @Test func bothEndsAreHeldForAWriterWithoutAReader() throws {
        let root = try programs(fifo([(OpenFlag.O_WRONLY, false)]))[0]
        let held = try #require(root.firstIndex { $0.note.contains("both ends for a while") })
        #expect(root[held...].contains { $0.name == "close" })
    }

    @Test func whatWaitsIsWrittenBeforeTheEndsAreOpened() throws {
        let root = try programs(fifo([(OpenFlag.O_RDONLY, false), (OpenFlag.O_WRONLY, false)], contents: "hello"))[0]
        let written = try #require(root.firstIndex { $0.name == "write" && $0.check == .equals(5) })
        #expect(try #require(root.firstIndex { $0.note.contains("both ends for a while") }) < written)
    }
}
