import Kernel
import LinuxABI
import StepProgram
import Testing

@testable import TreeCapture

/// What the kernel notes of changed pages from one checkpoint to the next.
@Suite struct TrackTests {
    @Test func programsOfTaskAndHelper() throws {
        let sight = try Recordings.pipeline().sight
        let place = try InjectionPlace(in: sight.spaces[0], on: sight.host)
        let program = TrackProgram(at: place)
        let steps = program.program.steps
        func value(_ step: Int, _ argument: Int) -> UInt64? {
            if case .value(let value) = steps[step].arguments[argument] { value } else { nil }
        }
        func step(at address: UInt64) -> Int { Int(address - place.programAddress) / EncodedStep.size - 1 }
        let flags = try #require(value(0, 0))
        #expect(steps[0].operation == .call(.clone) && flags & CloneFlag.CSIGNAL == 0)
        #expect(flags & CloneFlag.CLONE_VM != 0 && flags & CloneFlag.CLONE_VFORK != 0 && flags & CloneFlag.CLONE_UNTRACED != 0)
        // The helper's number goes into the argument of wait4, which names no task until then.
        #expect(steps[1].operation == .call(.wait4) && value(1, 0) == 0x7fff_ffff && value(0, 2) == program.numberAddress)
        #expect(step(at: program.numberAddress - 8) == 1 && steps[2].operation == .end)
        // The helper leaves the task's table before it makes the descriptor, and comes to its end by itself.
        let begin = step(at: try #require(value(0, 5)))
        #expect(steps[begin...].map(\.operation) == [.close_range, .userfaultfd, .getpid, .ppoll, .exit_group, .exit_group].map { .call($0) })
        #expect(value(begin, 2) == UInt64(CloseRange.CLOSE_RANGE_UNSHARE))
        #expect(step(at: program.resultAddress - EncodedStep.resultOffset) == begin + 1)
        #expect(step(at: program.readyAddress - EncodedStep.resultOffset) == begin + 2)
    }

    private static let record = TrackRecord(
        identity: (0..<16).map { UInt8($0 * 16) },
        spaces: [
            TrackRecord.Space(
                id: 1, processes: [TrackRecord.Process(pid: 4711, startTime: 99), TrackRecord.Process(pid: 4712, startTime: 100)],
                ranges: [PageRun(start: 0x1000, length: 0x2000), PageRun(start: 0x7fff_0000_0000, length: 0x1000)]),
            TrackRecord.Space(id: 3, processes: [TrackRecord.Process(pid: 1, startTime: 0)], ranges: []),
        ])

    @Test func recordsAreReadAsTheyAreWritten() throws {
        let read = try #require(TrackRecord(Self.record.text))
        #expect(read == Self.record)
        #expect(read.space(of: TrackRecord.Process(pid: 4712, startTime: 100))?.id == 1)
        #expect(read.space(of: TrackRecord.Process(pid: 4712, startTime: 101)) == nil)
    }

    @Test(arguments: ["", "\n", "crcheckpoint track 2\n", "crcheckpoint track 1\n0 1\n", "crcheckpoint track 1\nzz\n"])
    func otherRecordsAreNone(text: String) { #expect(TrackRecord(Array(text.utf8)) == nil) }

    @Test func partsOfRecordsAreNone() {
        let text = Self.record.text
        for end in 0..<text.count { #expect(TrackRecord(Array(text[..<end])) == nil) }
    }

    @Test func mappingsThatAreTracked() throws {
        func map(_ start: String, _ end: String, _ flags: String, _ name: String = "", _ sharing: String = "p", inode: Int = 0) -> String {
            """
            \(start)-\(end) rw-\(sharing) 00000000 \(inode == 0 ? "00:00" : "08:01") \(inode) \(name)
            Size:               1024 kB
            KernelPageSize:        4 kB
            Anonymous:          1024 kB
            VmFlags: rd wr \(flags)

            """
        }
        let text = [
            map("100000", "200000", ""), map("200000", "300000", "", "[heap]"), map("300000", "400000", "gd", "[stack]"),
            map("400000", "500000", "", "/lib/libc.so", inode: 7), map("500000", "600000", "sh", "", "s"), map("600000", "700000", "sl"),
            map("700000", "800000", "dp"), map("800000", "900000", "ht"), map("900000", "a00000", "uw"), map("a00000", "b00000", "um"),
            map("b00000", "c00000", "", "[anon:name]"), map("c00000", "d00000", "", "[vvar]"),
        ]
        let maps = try MemoryMap.parse(smaps: Array(text.joined().utf8))
        #expect(TrackRecord.ranges(in: maps).map(\.start) == [0x10_0000, 0x20_0000, 0x90_0000, 0xb0_0000])
        // Of a mapping that has grown, moved in part, or is another one.
        let ranges = [PageRun(start: 0x18_0000, length: 0x4_0000), PageRun(start: 0x1f_0000, length: 0x20_0000)]
        #expect(
            TrackRecord.parts(of: maps[0], in: ranges) == [PageRun(start: 0x18_0000, length: 0x4_0000), PageRun(start: 0x1f_0000, length: 0x1_0000)])
        #expect(TrackRecord.parts(of: maps[10], in: ranges).isEmpty)
    }

    @Test func pagesThatAreKnown() {
        let pages = UnchangedPages.Pages([PageRun(start: 0x6000, length: 0x2000), PageRun(start: 0x1000, length: 0x2000), PageRun(start: 0x3000, length: 0x1000)])
        for (range, isIn) in [(1..<4, true), (2..<3, true), (0..<2, false), (3..<5, false), (4..<6, false), (6..<8, true), (7..<9, false), (8..<9, false)] {
            #expect(pages.contains(UInt64(range.lowerBound)..<UInt64(range.upperBound)) == isIn, "\(range)")
        }
        #expect(!UnchangedPages.Pages([]).contains(1..<2))
    }
}
