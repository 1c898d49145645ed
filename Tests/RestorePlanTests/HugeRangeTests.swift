import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// Memory that is made of huge pages before it is loaded: where each page of a huge one was saved, and nothing speaks against it.
@Suite struct HugeRangeTests {
    private static let size: UInt64 = 2 << 20

    /// Memory from 0x50_0000 to 0x120_0000 with saved pages from 0x50_1000 to 0xd0_0000, and one more at 0x110_0000.
    private func sample(_ change: (inout Sample) -> Void = { _ in }) -> Sample {
        var sample = Sample()
        sample.records.addressSpaces[0].mappings[1].end = 0x120_0000
        sample.records.addressSpaces[0].runPage = [0x501, 0x1100]
        sample.records.addressSpaces[0].runLength = [0x7ff, 1]
        sample.facts.ownMemory.hugePageSize = Self.size
        change(&sample)
        return sample
    }

    private func ranges(_ sample: Sample, _ use: HugePageUse = .auto) throws -> [Range<UInt64>] {
        let valid = try sample.valid()
        let schedule = PageSchedule(valid.image, valid.creation, SharedOwners(valid.image, valid.creation), delivery: .inPlace)
        return HugeRanges.of(valid.image.addressSpaces[0], schedule, sample.facts.ownMemory, use)
    }

    @Test func whereEachPageWasSaved() throws { #expect(try ranges(sample()) == [0x60_0000..<0xc0_0000]) }

    @Test func notWhereTheHostHasNone() throws { #expect(try ranges(sample { $0.facts.ownMemory.hugePageSize = 0 }).isEmpty) }

    @Test func asItIsWanted() throws {
        let backGiver = sample { $0.facts.ownMemory.givesMemoryBack = true }
        #expect(try ranges(sample(), .never).isEmpty && ranges(backGiver, .auto).isEmpty)
        #expect(try ranges(backGiver, .always) == ranges(sample(), .auto))
    }

    @Test(arguments: [ImageMappingFlag.noHugePage, .mergeable]) func notAgainstTheProgramsAdvice(flag: ImageMappingFlag) throws {
        #expect(try ranges(sample { $0.records.addressSpaces[0].mappings[1].flags = 1 << UInt64(flag.rawValue) }).isEmpty)
    }

    @Test func notWhereTheProcessHasForbiddenThem() throws {
        #expect(try ranges(sample { $0.records.addressSpaces[0].hugePagesDisabled = 1 }).isEmpty)
        #expect(try ranges(sample { $0.facts.ownMemory.hugePagesDisabled = 1 }).isEmpty)
    }

    /// Pages that come while the tree runs get theirs when they are there.
    @Test func notBeforePagesThatComeLater() throws {
        let sample = sample()
        let valid = try sample.valid()
        let schedule = PageSchedule(valid.image, valid.creation, SharedOwners(valid.image, valid.creation), delivery: .staged, isLazy: true)
        let (space, memory) = (valid.image.addressSpaces[0], sample.facts.ownMemory)
        #expect(HugeRanges.of(space, schedule, memory, .auto).isEmpty)
        #expect(HugeRanges.late(space, schedule, memory, .auto) == [0x60_0000..<0xc0_0000])
        #expect(HugeRanges.late(space, schedule, memory, .never).isEmpty)
        let whole = PageSchedule(valid.image, valid.creation, SharedOwners(valid.image, valid.creation), delivery: .staged)
        #expect(HugeRanges.late(space, whole, memory, .auto).isEmpty)
    }

    /// Pages that processes share get them before the fork.
    @Test(arguments: [ImageMappingFlag?.none, .noHugePage]) func sharedByForks(advice: ImageMappingFlag?) throws {
        let sample = sample { sample in
            for index in 0..<2 {
                sample.records.addressSpaces[index].mappings[1].end = 0x120_0000
                if let advice { sample.records.addressSpaces[index].mappings[1].flags = 1 << UInt64(advice.rawValue) }
                (sample.records.addressSpaces[index].runPage, sample.records.addressSpaces[index].runLength) = ([], [])
            }
            sample.records.sharedPages = [.made(7, page: 0x501, count: 0x7ff, [100, 101])]
        }
        let lines = RestorePlan(for: try sample.valid()).lines()
        let made = lines.firstIndex { $0.contains("6 MiB in huge pages") }
        guard advice == nil else {
            #expect(made == nil)
            return
        }
        let place = try #require(made)
        #expect(try place < #require(lines.firstIndex { $0.contains("clone3") }))
        #expect(lines.count { $0.contains("6 MiB in huge pages") } == 1)
    }

    /// The steps stand between those that map the memory and those that load it.
    @Test func madeBeforeThePagesAreRead() throws {
        let plan = RestorePlan(for: try sample().valid())
        let lines = plan.lines()
        func place(_ text: String) throws -> Int { try #require(lines.firstIndex { $0.contains(text) }, "\(text)") }
        let made = try place("6 MiB in huge pages")
        #expect(try place("a byte for each huge page") < made)
        #expect(try made < place("from the image"))
    }
}
