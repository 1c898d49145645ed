import CheckpointImage
import LinuxABI
import StepProgram
import Testing
import TreeModel

@testable import RestorePlan

@Suite struct MissingPagesTests {
    private typealias Part = MissingPages.Part
    private let page: UInt64 = 4096

    /// Pages 0x1000 to 0x1fff, and one more.
    private func missing() -> MissingPages {
        var space = ImageAddressSpace()
        space.runPage = [0x10, 0x1000, 0x3000]
        space.runLength = [2, 0x1000, 1]
        return MissingPages(of: space, in: [0x100_0000..<0x400_0000])
    }

    @Test func placesAreThoseInTheSection() {
        let missing = missing()
        #expect(missing.parts == [Part(start: 0x100_0000, length: 0x100_0000, place: 2), Part(start: 0x300_0000, length: page, place: 0x1002)])
        #expect(missing.block(at: 0x1_0000) == nil, "it was loaded before")
        #expect(missing.block(at: 0x100_0000) == 0)
        #expect(missing.block(at: 0x100_0000 + 62 * page) == 1)
        #expect(missing.block(at: 0x200_0000) == nil)
        #expect(missing.block(at: 0x300_0000) == 64)
        #expect(missing.nextAddress == 0x300_0000)
        // A block ends at a multiple of 64 pages of the section, which began with two others.
        #expect(missing.partsOfBlock(at: 0x100_3000) == [Part(start: 0x100_0000, length: 62 * page, place: 2)])
        #expect(
            missing.partsOfBlock(at: 0x300_0000) == [
                Part(start: 0x300_0000, length: page, place: 0x1002), Part(start: 0x100_0000 + 0xffe * page, length: 2 * page, place: 0x1000),
            ])
    }

    @Test func whatHasComeIsGone() {
        var missing = missing()
        missing.remove(0x100_2000..<0x100_4000)
        #expect(
            missing.parts == [
                Part(start: 0x100_0000, length: 2 * page, place: 2), Part(start: 0x100_4000, length: 0x100_0000 - 4 * page, place: 6),
                Part(start: 0x300_0000, length: page, place: 0x1002),
            ])
        #expect(missing.block(at: 0x100_2000) == nil && missing.block(at: 0x100_1000) == 0 && missing.block(at: 0x100_4000) == 0)
        #expect(missing.partsOfBlock(at: 0x100_4000).map(\.start) == [0x100_4000, 0x100_0000])
        missing.remove(0..<0x200_0000)
        #expect(missing.parts.map(\.start) == [0x300_0000])
        missing.remove(0..<0x200_0000)
        missing.remove(0x2ff_f000..<0x301_0000)
        #expect(missing.isEmpty && missing.nextAddress == nil && missing.partsOfBlock(at: 0x300_0000).isEmpty)
    }

    @Test func memoryMoves() {
        var missing = missing()
        // Upwards over what was there, which is gone with it.
        missing.move(0x1ff_e000..<0x200_1000, to: 0x2ff_f000)
        #expect(
            missing.parts == [
                Part(start: 0x100_0000, length: 0x100_0000 - 2 * page, place: 2), Part(start: 0x2ff_f000, length: 2 * page, place: 0x1000),
            ])
        #expect(missing.block(at: 0x1ff_e000) == nil && missing.block(at: 0x300_0000) == 64)
        // Downwards, and nothing at all.
        missing.move(0x300_0000..<0x300_1000, to: 0x1000)
        missing.move(0x500_0000..<0x600_0000, to: 0x700_0000)
        #expect(missing.parts.map(\.start) == [0x1000, 0x100_0000, 0x2ff_f000])
        #expect(missing.parts[0].place == 0x1001)
    }

    /// Threads that unmap, move and fork at the same time: what is told does not say what was first.
    @Test func nothingIsLostInAnyOrder() {
        let page = self.page
        var unmapped = missing()
        unmapped.unmap(0x100_0000..<0x200_0000)
        #expect(unmapped.parts.map(\.start) == [0x300_0000])
        // A fork that was before that.
        #expect(unmapped.ofChild == missing())
        unmapped.settle()
        #expect(unmapped.ofChild == unmapped)
        // The place was free before the memory came there.
        var moved = missing()
        moved.move(0x300_0000..<0x300_1000, to: 0x100_0000)
        moved.unmap(0x100_0000..<0x100_2000)
        #expect(moved.parts.prefix(2) == [Part(start: 0x100_0000, length: page, place: 0x1002), Part(start: 0x100_2000, length: 0x100_0000 - 2 * page, place: 4)])
        #expect(moved.ofChild.parts.map(\.start) == [0x100_0000, 0x100_1000, 0x100_2000, 0x300_0000])
        moved.settle()
        moved.unmap(0x100_0000..<0x100_2000)
        #expect(moved.parts.map(\.start) == [0x100_2000])
    }

    /// Any sequence of changes, against a table of pages.
    @Test func anySequence() {
        var random = SystemRandomNumberGenerator()
        let seed = random.next()
        var numbers = SplitMix(seed)
        var space = ImageAddressSpace()
        (space.runPage, space.runLength) = ([100, 150, 300], [40, 100, 60])
        var missing = MissingPages(of: space, in: [0..<1 << 30])
        var table: [UInt64: UInt64] = [:]
        for (index, number) in [UInt64](100..<140).enumerated() { table[number] = UInt64(index) }
        for (index, number) in [UInt64](150..<250).enumerated() { table[number] = UInt64(40 + index) }
        for (index, number) in [UInt64](300..<360).enumerated() { table[number] = UInt64(140 + index) }
        for _ in 0..<200 {
            let first = 80 + numbers.next() % 320
            let count = 1 + numbers.next() % 20
            if numbers.next() % 2 == 0 {
                missing.remove(first * page..<(first + count) * page)
                for number in first..<first + count { table[number] = nil }
            } else {
                let target = 400 + numbers.next() % 300
                let isBack = numbers.next() % 2 == 0
                let (from, to) = isBack ? (target + 100, first) : (first, target + 100)
                missing.move(from * page..<(from + count) * page, to: to * page)
                let moved = (0..<count).map { table.removeValue(forKey: from + $0) }
                for (index, place) in moved.enumerated() { table[to + UInt64(index)] = place }
            }
            let found = missing.parts.flatMap { part in (0..<part.length / page).map { (part.start / page + $0, part.place + $0) } }
            #expect(Dictionary(uniqueKeysWithValues: found) == table, "seed \(seed)")
            #expect(found.map(\.0) == table.keys.sorted(), "seed \(seed)")
        }
    }
}

@Suite struct LateMemoryTests {
    /// 100 has 1,024 saved pages at 0x1000000, in a mapping of twice that size.
    private func sample(_ change: (inout ImageMapping) -> Void = { _ in }) -> Sample {
        var sample = Sample()
        sample.options.delivery = .staged
        sample.options.isLazy = true
        var large = ImageMapping()
        (large.start, large.end) = (0x100_0000, 0x180_0000)
        large.protection = 3
        large.kind = .anonymous
        change(&large)
        sample.records.addressSpaces[0].mappings.insert(large, at: 2)
        sample.records.addressSpaces[0].runPage = [0x501, 0x1000]
        sample.records.addressSpaces[0].runLength = [2, 0x400]
        return sample
    }

    @Test func largeMappingsComeLate() throws {
        let plan = RestorePlan(for: try sample().valid())
        let load = try #require(plan.pages.loads.first { $0.owner.id == 100 })
        #expect(load.late == [0x100_0000..<0x180_0000])
        #expect(load.transfers.map(\.offset) == [0] && load.byteCount == 2 * 4096)
        #expect(plan.lateBytes == 0x400 * 4096)
        let other = try #require(plan.pages.loads.first { $0.owner.id == 101 })
        #expect(other.late.isEmpty)
        // The descriptor is made, offered and closed again.
        let steps = plan.launchpad.programs[0].steps
        let made = try #require(steps.firstIndex { $0.operation == .call(.userfaultfd) })
        let names = steps[made..<made + 6].map(\.name)
        #expect(names == ["userfaultfd", "dup3", "close", "advance", "wait", "close"])
        let number = try #require(plan.pageGates.values.compactMap(\.faults).first)
        #expect(steps[made + 1].arguments[1] == .number(number) && steps[made + 5].arguments == [.number(number)])
        #expect(!plan.launchpad.programs[1].steps.contains { $0.operation == .call(.userfaultfd) })
        #expect(plan.lines().contains("lazy  4 MiB in 1 address space come while the tree runs"))
    }

    @Test func nothingComesLateWithoutTheOption() throws {
        var sample = sample()
        sample.options.isLazy = false
        let plan = RestorePlan(for: try sample.valid())
        #expect(plan.lateBytes == 0 && plan.pages.loads.allSatisfy { $0.late.isEmpty })
        #expect(!plan.lines().contains { $0.hasPrefix("lazy") || $0.contains("userfaultfd") })
    }

    /// Of these the kernel would tell nothing, or does not wait for pages.
    @Test(arguments: [
        ImageMappingFlag.growsDown, .locked, .dontFork, .wipeOnFork, .droppable, .sealed,
    ])
    func someMemoryIsLoadedBefore(flag: ImageMappingFlag) throws {
        let plan = RestorePlan(for: try sample { $0.flags |= 1 << UInt64(flag.rawValue) }.valid())
        #expect(plan.lateBytes == 0)
    }

    @Test func filesAndSmallMappingsAreLoadedBefore() throws {
        var small = sample()
        small.records.addressSpaces[0].runLength = [2, LateMemory.least - 1]
        #expect(RestorePlan(for: try small.valid()).lateBytes == 0)
        small.records.addressSpaces[0].runLength = [2, LateMemory.least]
        #expect(RestorePlan(for: try small.valid()).lateBytes == LateMemory.least * 4096)
        let program = small.records.addressSpaces[0].mappings[0].file
        let ofFile = sample { mapping in
            mapping.kind = .file
            mapping.file = program
        }
        #expect(RestorePlan(for: try ofFile.valid()).lateBytes == 0)
    }

    @Test func whoMayNotAnswerPageFaultsIsTold() throws {
        var sample = sample()
        sample.facts.faultRefusal = "EPERM"
        #expect(try refusal(of: sample).contains { $0.contains("--lazy: page faults of the tree cannot be answered here: EPERM") && $0.contains("CAP_SYS_PTRACE") })
        sample.facts.faultRefusal = "ENOSYS"
        #expect(try refusal(of: sample).contains { $0.contains("ENOSYS") && $0.contains("restart without --lazy") })
        sample.options.isLazy = false
        _ = try sample.valid()
    }

    private func refusal(of sample: Sample) throws -> [String] {
        do { _ = try sample.valid() } catch let error as ValidImage.Refusal { return error.findings.map(\.line) }
        return []
    }
}
