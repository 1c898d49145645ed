import CheckpointImage
import Kernel
import LinuxABI
import StepProgram
import Testing

@testable import TreeCapture

/// What is recorded of memory.
@Suite struct MemoryRecordTests {
    /// Each flag that a mapping can have is saved, refused, or needs no place in the image. A flag without a name here is one
    /// that this version does not know, and a finding.
    @Test func everyFlagHasItsPlace() {
        let refused = Recorder.refusedFlags.reduce(Recorder.deviceFlags) { $0.union($1.flags) }
        let tables = [Recorder.savedFlags, Recorder.impliedFlags, refused]
        let all = MappingFlags.all
        #expect(tables.reduce([]) { $0.union($1) } == all)
        for (index, table) in tables.enumerated() {
            for other in tables[(index + 1)...] { #expect(table.isDisjoint(with: other), "\(table.intersection(other))") }
        }
    }

    @Test func everyKindOfKernelMemoryHasWords() {
        for kind in KernelMemory.allCases { #expect(!kind.reason.isEmpty) }
        for path in ["/usr/lib/libc.so", "/memfd:anon_inode:", "/dev/zero", "[heap]", ""] {
            #expect(KernelMemory(path: Array(path.utf8)) == nil)
        }
    }

    @Test func guardsSealsAndWords() throws {
        var recording = try Recordings.files()
        var memory = MemorySight()
        memory.spaces = recording.sight.spaces.map { _ in [] }
        memory.objects = recording.sight.objects.map { _ in [] }
        let heap = try #require(recording.sight.spaces[0].maps.value.maps.first { $0.path.elementsEqual("[heap]".utf8) })
        memory.guards = [[MemorySight.Run(page: heap.start / 4096 + 1, count: 2)]]
        memory.seals = memory.objects.map { _ in 0xf }
        memory.robustWords = [[MemorySight.RobustWordSight(address: heap.start + 8, value: 0x8000_0007)]]
        recording.memory = memory
        let recorded = recording.recorded()
        _ = try recorded.validated()
        let space = recorded.records.addressSpaces[0]
        #expect(space.guardPage == [heap.start / 4096 + 1] && space.guardLength == [2])
        #expect(space.robustWords.map(\.address) == [heap.start + 8] && space.robustWords.map(\.value) == [0x8000_0007])
        #expect(recorded.records.memoryObjects.allSatisfy { $0.seals == 0xf } && !recorded.records.memoryObjects.isEmpty)
    }

    /// Those of the user are saved; one that grants something is told.
    @Test func attributesOfFilesWithoutAName() throws {
        var recording = try Recordings.files()
        var memory = MemorySight()
        memory.spaces = recording.sight.spaces.map { _ in [] }
        memory.objects = recording.sight.objects.map { _ in [] }
        let names = ["security.capability", "security.selinux", "system.posix_acl_access", "user.a"]
        memory.attributes = memory.objects.map { _ in names.map { FileAttribute(name: Array($0.utf8), value: [1, 2]) } }
        recording.memory = memory
        let recorded = recording.recorded()
        _ = try recorded.validated()
        for object in recorded.records.memoryObjects { #expect(object.attributes.map(\.name.asText) == ["system.posix_acl_access", "user.a"]) }
        #expect(!recorded.records.memoryObjects.isEmpty && recorded.notices.count { $0.contains("security.capability") } == recorded.records.memoryObjects.count)
        #expect(!recorded.notices.contains { $0.contains("selinux") })
    }

    @Test func namesOfAnonymousMemory() throws {
        var recording = try Recordings.files()
        let text = String(decoding: recording.sight.spaces[0].maps.raw.bytes, as: UTF8.self)
        recording.sight.spaces[0].maps = try Seen(Array(text.replacing("[heap]", with: "[anon:of the arena]").utf8))
        let names = recording.recorded().records.addressSpaces[0].mappings.map(\.name.asText)
        #expect(names.count { $0 == "of the arena" } == 1 && names.allSatisfy { $0.isEmpty || $0 == "of the arena" })
    }

    /// A locked mapping refuses MS_INVALIDATE, and one that is locked at once has all its pages.
    @Test(arguments: [(Int64(0), UInt8(0), UInt32(0)), (-16, 1, 2), (-16, 0, 6)])
    func attributesOfTheWholeMemory(locked: Int64, isThere: UInt8, wanted: UInt32) {
        var program = Program(title: "questions")
        let questions = MemoryQuestions(at: 0x1000, offset: 16, untouched: 0x8000, to: &program)
        let results: [Int64] = [0, locked, 3, 1, -22]
        #expect(program.steps.map(\.name) == ["mincore", "msync", "prctl", "prctl", "prctl"])
        var steps = [UInt8](repeating: 0, count: results.count * EncodedStep.size)
        for (index, result) in results.enumerated() {
            for byte in 0..<8 {
                steps[index * EncodedStep.size + Int(EncodedStep.resultOffset) + byte] =
                    UInt8(truncatingIfNeeded: UInt64(bitPattern: result) >> UInt64(byte * 8))
            }
        }
        let answer = ProgramAnswer(steps: steps, data: [UInt8](repeating: 0, count: 16) + [isThere], instant: 0)
        #expect(
            questions.read(answer)
                == MemoryAnswers(locksToCome: wanted, writeExecute: 3, hugePagesDisabled: 1, mergesPages: false))
    }
}
