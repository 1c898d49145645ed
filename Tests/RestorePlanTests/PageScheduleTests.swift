import CheckpointImage
import LinuxABI
import StepProgram
import Testing

@testable import RestorePlan

@Suite struct PageTransferTests {
    private typealias Piece = PageSchedule.Piece

    @Test func runsAreSplitAtMappingBorders() {
        // Pages 0x500 to 0x507; mappings end at 0x502000 and 0x504000.
        let transfers = PageSchedule.transfers([0x500], [8], borders: [0x40_0000, 0x50_2000, 0x50_4000, 0x60_0000])
        #expect(transfers.count == 1)
        #expect(
            transfers[0].pieces == [
                Piece(start: 0x50_0000, byteCount: 0x2000), Piece(start: 0x50_2000, byteCount: 0x2000),
                Piece(start: 0x50_4000, byteCount: 0x4000),
            ])
        #expect(transfers[0].byteCount == 0x8000)
    }

    @Test func noTransferHasMoreVectorsThanTheKernelTakes() {
        let pages = (0..<2500).map { UInt64($0 * 2) }
        let transfers = PageSchedule.transfers(pages, [UInt64](repeating: 1, count: 2500), borders: [])
        #expect(transfers.map(\.pieces.count) == [1024, 1024, 452])
        #expect(transfers.map(\.offset) == [0, 1024 * 4096, 2048 * 4096])
    }

    @Test func noTransferHasMoreBytesThanTheKernelMoves() {
        let most: UInt64 = 2 << 30 - 4096
        // 5 GiB in one run, then one page.
        let transfers = PageSchedule.transfers([1, 0x20_0000], [5 << 18, 1], borders: [])
        #expect(transfers.map(\.byteCount) == [most, most, (5 << 30) - 2 * most + 4096])
        #expect(transfers.map(\.offset) == [0, most, 2 * most])
        #expect(transfers[1].pieces == [Piece(start: 4096 + most, byteCount: most)])
        #expect(transfers[2].pieces.last == Piece(start: 0x20_0000 * 4096, byteCount: 4096))
        // Exactly as much as one transfer moves.
        #expect(PageSchedule.transfers([1], [most / 4096], borders: []).count == 1)
    }

    @Test func partsOfASectionAreReadWhereTheyLie() {
        // Pages 0x500 to 0x507 and 0x600; wanted are 0x501, 0x502 and all from 0x506 on.
        let part = AddressRanges([0x50_1000..<0x50_3000, 0x50_6000..<0x70_0000])
        let transfers = PageSchedule.transfers([0x500, 0x600], [8, 1], only: part, borders: [0x50_2000, 0x70_0000])
        #expect(transfers.map(\.offset) == [0x1000, 0x6000])
        #expect(
            transfers.map(\.pieces) == [
                [Piece(start: 0x50_1000, byteCount: 0x1000), Piece(start: 0x50_2000, byteCount: 0x1000)],
                [Piece(start: 0x50_6000, byteCount: 0x2000), Piece(start: 0x60_0000, byteCount: 0x1000)],
            ])
        #expect(PageSchedule.transfers([0x500], [8], only: AddressRanges(), borders: []).isEmpty)
    }

    @Test func nothingToLoadIsNoTransfer() { #expect(PageSchedule.transfers([], [], borders: [4096]).isEmpty) }
}

@Suite struct AddressRangeTests {
    private func ranges(_ pairs: (UInt64, UInt64)...) -> AddressRanges { AddressRanges(pairs.map { $0.0..<$0.1 }) }

    @Test func whatTouchesIsJoined() {
        #expect(ranges((8, 9), (0, 4), (4, 6), (5, 7), (3, 3)) == ranges((0, 7), (8, 9)))
    }

    @Test func differencesAndIntersections() {
        let all = ranges((0, 10), (20, 30))
        #expect(all.subtracting(ranges((2, 3), (5, 25))) == ranges((0, 2), (3, 5), (25, 30)))
        #expect(all.subtracting(AddressRanges()) == all)
        #expect(all.subtracting(ranges((0, 40))).isEmpty)
        #expect(all.intersection(ranges((9, 22))) == ranges((9, 10), (20, 22)))
        #expect(!all.overlaps(ranges((10, 20))))
        #expect(all.overlaps(ranges((12, 14), (29, 40))))
    }

    @Test func sums() {
        #expect(ranges((0, 10), (20, 30)).union(ranges((5, 12), (14, 20), (40, 41))) == ranges((0, 12), (14, 30), (40, 41)))
        #expect(AddressRanges().union(ranges((1, 2))) == ranges((1, 2)) && ranges((1, 2)).union(AddressRanges()) == ranges((1, 2)))
    }

    @Test func sumsStopAtTheEnds() {
        // Expectations cannot be written with operators of one's own.
        let sums: [Int64] = [.max +| 1, .min +| -1, 5 +| -7, .min -| 1, .max -| -1, 0 -| .min]
        #expect(sums == [.max, .min, -2, .min, .max, .max])
        let unsigned: [UInt64] = [3 -| 4, .max +| 1, 4 -| 3]
        #expect(unsigned == [0, .max, 1])
    }
}

@Suite struct PageScheduleTests {
    /// 100 creates 101 and 102, 101 creates 103. Each has pages 0x501 and 0x502 in a mapping from 0x500000 to 0x504000.
    private func family() -> Sample {
        var sample = Sample()
        sample.addProcess(102, parent: 100)
        sample.addProcess(103, parent: 101)
        return sample
    }

    private func schedule(
        _ sample: Sample, delivery: PageDelivery = .inPlace, _ shared: [ImageSharedPages] = [], occupied: [Range<UInt64>] = []
    ) throws -> PageSchedule {
        var sample = sample
        sample.records.sharedPages = shared
        let valid = try sample.valid()
        return PageSchedule(
            valid.image, valid.creation, SharedOwners(valid.image, valid.creation), delivery: delivery,
            occupied: occupied)
    }

    /// Pages from 0x500 on.
    private func pages(_ number: UInt32, _ count: UInt64 = 1, from page: UInt64 = 0x500, of holders: UInt32...)
        -> ImageSharedPages
    {
        .made(number, page: page, count: count, holders)
    }

    @Test func everythingIsLoadedAfterTheLastFork() throws {
        let schedule = try schedule(family())
        #expect(schedule.loads.map(\.loader) == [100, 101, 102, 103])
        #expect(schedule.loads.allSatisfy { !$0.isBeforeFork && $0.byteCount == 8192 })
        #expect(schedule.loads(afterForkInto: 103) == [3])
        #expect(schedule.loads(of: PageOwner(.addressSpace, 102)) == [2])
        for pid in UInt32(100)...103 {
            #expect(schedule.loads(beforeForkBy: pid).isEmpty)
            #expect(schedule.inheritance(of: pid) == PageSchedule.Inheritance())
        }
        #expect(!schedule.isFedBeforeForks)
    }

    @Test func sharedAddressSpacesAreLoadedOnce() throws {
        var sample = family()
        sample.records.addressSpaces.removeAll { $0.id == 103 }
        sample.share([\.addressSpace], of: 101, by: 103)
        let schedule = try schedule(sample)
        #expect(schedule.loads.map(\.loader) == [100, 101, 102])
    }

    @Test func noPagesNoLoad() throws {
        var sample = family()
        (sample.records.addressSpaces[2].runPage, sample.records.addressSpaces[2].runLength) = ([], [])
        #expect(try schedule(sample).loads(afterForkInto: 102).isEmpty)
    }

    @Test func sharedPagesAreLoadedByTheLowestCommonCreator() throws {
        func loader(_ holders: [UInt32]) throws -> UInt32? {
            let schedule = try schedule(family(), [.made(1, page: 0x500, count: 1, holders)])
            return schedule.loads.first { $0.owner == PageOwner(.sharedPages, 1) && $0.isBeforeFork }?.loader
        }
        #expect(try loader([101, 103]) == 101)
        #expect(try loader([102, 103]) == 100)
        #expect(try loader([100, 101, 102, 103]) == 100)
    }

    /// Memory that is mapped beside what was inherited would not become one mapping with it.
    @Test func earlyLoadsMapWhatAnyOfTheHoldersHas() throws {
        var sample = family()
        sample.records.addressSpaces[3].mappings[1].end = 0x50_3000
        let schedule = try schedule(sample, [pages(1, of: 101, 103)])
        #expect(schedule.loads(beforeForkBy: 101) == [0])
        #expect(
            schedule.loads[0].moment
                == .beforeFork([PageSchedule.Area(space: 101, mapping: 1, range: 0x50_0000..<0x50_4000)]))
        #expect(schedule.inheritance(of: 101) == PageSchedule.Inheritance(kept: AddressRanges([0x50_0000..<0x50_4000])))
        #expect(
            schedule.inheritance(of: 103)
                == PageSchedule.Inheritance(
                    kept: AddressRanges([0x50_0000..<0x50_3000]), dropped: AddressRanges([0x50_3000..<0x50_4000])))
        #expect(schedule.inheritance(of: 100) == PageSchedule.Inheritance())
        #expect(schedule.inheritance(of: 102) == PageSchedule.Inheritance())
    }

    @Test func creatorsThatHoldNothingDropIt() throws {
        let all = AddressRanges([0x50_0000..<0x50_4000])
        let schedule = try schedule(family(), [pages(1, of: 102, 103)])
        #expect(schedule.inheritance(of: 100) == PageSchedule.Inheritance(dropped: all))
        #expect(schedule.inheritance(of: 101) == PageSchedule.Inheritance(dropped: all))
        #expect(schedule.inheritance(of: 102) == PageSchedule.Inheritance(kept: all))
        #expect(schedule.inheritance(of: 103) == PageSchedule.Inheritance(kept: all))
    }

    @Test func pagesOfOthersInsideOfOnesOwnMappingAreGivenBack() throws {
        // All four share page 0x500; 101 and 103 share page 0x503 in the same mapping.
        let schedule = try schedule(family(), [pages(1, of: 100, 101, 102, 103), pages(2, from: 0x503, of: 102, 103)])
        let all = AddressRanges([0x50_0000..<0x50_4000])
        let given = AddressRanges([0x50_3000..<0x50_4000])
        // Mapped once, filled twice.
        #expect(schedule.loads(beforeForkBy: 100) == [0, 1])
        #expect(schedule.loads[1].moment == .beforeFork([]))
        #expect(schedule.inheritance(of: 100) == PageSchedule.Inheritance(kept: all, discarded: given))
        #expect(schedule.inheritance(of: 101) == PageSchedule.Inheritance(kept: all, discarded: given))
        #expect(schedule.inheritance(of: 103) == PageSchedule.Inheritance(kept: all))
    }

    @Test func whatCannotBeSharedIsLoadedByEachHolder() throws {
        // The address is taken where it would be loaded.
        let late = try schedule(family(), [pages(1, of: 101, 103)], occupied: [0x50_3000..<0x50_4000])
        let owner = PageOwner(.sharedPages, 1)
        #expect(late.loads(of: owner).map { late.loads[$0].moment } == [.afterFork(space: 101), .afterFork(space: 103)])
        #expect(late.loads(beforeForkBy: 101).isEmpty)
        // Two sets at the same addresses: the second one comes late.
        let both = try schedule(family(), [pages(1, of: 100, 101), pages(2, of: 102, 103)])
        #expect(both.loads(beforeForkBy: 100) == [0])
        #expect(both.loads(of: PageOwner(.sharedPages, 2)).count == 2)
        // In processes that do not descend from each other they are no trouble.
        var sample = family()
        sample.addProcess(104, parent: 102)
        let apart = try schedule(sample, [pages(1, of: 101, 103), pages(2, of: 102, 104)])
        #expect(apart.loads(beforeForkBy: 101) == [0] && apart.loads(beforeForkBy: 102) == [1])
    }

    @Test func otherMappingsShareNothing() throws {
        // Read from a file in one of them.
        var sample = family()
        sample.records.addressSpaces[3].mappings[1].kind = .file
        sample.records.addressSpaces[3].mappings[1].file = sample.records.addressSpaces[3].mappings[0].file
        let schedule = try schedule(sample, [pages(1, of: 101, 103)])
        let owner = PageOwner(.sharedPages, 1)
        #expect(schedule.loads(of: owner).map { schedule.loads[$0].moment }.contains(.afterFork(space: 103)))
        let all = AddressRanges([0x50_0000..<0x50_4000])
        #expect(schedule.inheritance(of: 103) == PageSchedule.Inheritance(dropped: all, late: AddressRanges([0x50_0000..<0x50_1000])))
    }

    @Test func whatAProcessSharesWithItsChildrenLiesOverWhatItInherited() throws {
        // 101 wrote page 0x500 after 102 was born and before 103 was.
        let schedule = try schedule(family(), [pages(1, of: 100, 102), pages(2, of: 101, 103)])
        #expect(schedule.loads(beforeForkBy: 100) == [0] && schedule.loads(beforeForkBy: 101) == [1])
        #expect(schedule.loads[1].moment == .beforeFork([]))
        let all = AddressRanges([0x50_0000..<0x50_4000])
        for pid in UInt32(100)...103 { #expect(schedule.inheritance(of: pid) == PageSchedule.Inheritance(kept: all)) }
    }

    @Test func whatItsCreatorHasNotAnyMoreAProcessLoadsForItself() throws {
        // 103 was born before 101 wrote page 0x500, 104 afterwards.
        var sample = family()
        sample.addProcess(104, parent: 101)
        for index in sample.records.addressSpaces.indices {
            (sample.records.addressSpaces[index].runPage, sample.records.addressSpaces[index].runLength) = ([], [])
        }
        let schedule = try schedule(sample, [pages(1, 2, of: 100, 103), pages(2, of: 101, 104)])
        let one = PageOwner(.sharedPages, 1)
        let late = try #require(schedule.loads(of: one).map { schedule.loads[$0] }.first { !$0.isBeforeFork })
        #expect(late.moment == .afterFork(space: 103))
        #expect(late.transfers.map(\.pieces) == [[PageSchedule.Piece(start: 0x50_0000, byteCount: 4096)]])
        let page = AddressRanges([0x50_0000..<0x50_1000])
        #expect(schedule.inheritance(of: 103).late == page && schedule.inheritance(of: 103).discarded.isEmpty)
        // 104 has inherited a page that only 100 and 103 share, besides.
        #expect(schedule.inheritance(of: 104).discarded == AddressRanges([0x50_1000..<0x50_2000]))
    }


    @Test func loadsWaitForThoseAbove() throws {
        let schedule = try schedule(family(), delivery: .staged, [pages(1, of: 100, 102), pages(2, of: 101, 103)])
        #expect(!schedule.awaitsOthers(0) { _ in false })
        #expect(schedule.awaitsOthers(1) { _ in false })
        #expect(!schedule.awaitsOthers(1) { $0 == 0 })
        // Of space 103.
        let last = try #require(schedule.loads(afterForkInto: 103).first)
        #expect(schedule.awaitsOthers(last) { $0 == 0 } && !schedule.awaitsOthers(last) { $0 <= 1 })
    }
}

extension ImageSharedPages {
    /// All of its pages are held by all.
    static func made(_ id: UInt32, page: UInt64, count: UInt64, _ holders: [UInt32]) -> ImageSharedPages {
        var set = ImageSharedPages()
        set.id = id
        set.runPage = [page]
        set.runLength = [count]
        set.holders = holders.map { space in
            var holder = ImagePageHolder()
            holder.addressSpace = space
            holder.runPage = [page]
            holder.runLength = [count]
            return holder
        }
        return set
    }
}

@Suite struct PageStepTests {
    private func plan(_ delivery: PageDelivery) throws -> RestorePlan {
        var sample = Sample()
        sample.options.delivery = delivery
        return RestorePlan(for: try sample.valid())
    }

    @Test func everyAddressSpaceHasItsOwnGate() throws {
        let plan = try plan(.staged)
        #expect(plan.pageGates.count == 2)
        let words = plan.pageGates.values.flatMap { [$0.mapped, $0.filled] }
        #expect(Set(words).count == 4)
        for (index, load) in plan.pages.loads.enumerated() {
            let gate = try #require(plan.pageGates[index])
            let program = try #require(plan.program(of: load.loader))
            let steps = plan.launchpad.programs[program].steps
            let mapped = try #require(steps.firstIndex { $0.operation == .advance && $0.arguments == [.value(gate.mapped)] })
            let filled = try #require(steps.firstIndex { $0.operation == .wait && $0.arguments == [.value(gate.filled), .value(1)] })
            let lastMap = try #require(steps.lastIndex { $0.name == "mmap" })
            let protect = try #require(steps.firstIndex { $0.name == "mprotect" })
            #expect(lastMap < mapped && mapped + 1 == filled && filled < protect)
            // No other process touches it.
            for (other, one) in plan.launchpad.programs.enumerated() where other != program {
                #expect(!one.steps.contains { $0.arguments.first == .value(gate.mapped) || $0.arguments.first == .value(gate.filled) })
            }
        }
    }

    @Test func tasksThatReadInPlaceNeedNoGates() throws { #expect(try plan(.inPlace).pageGates.isEmpty) }

    @Test func membersOfASharedAddressSpaceWaitForTheirLoaderOnly() throws {
        var sample = Sample()
        sample.options.delivery = .staged
        sample.records.addressSpaces.removeLast()
        sample.share([\.addressSpace], of: 100, by: 101)
        let plan = RestorePlan(for: try sample.valid())
        #expect(plan.pageGates.count == 1)
        #expect(plan.pages.loads.map(\.loader) == [100])
    }

    /// Steps of the builder for pages that the root and its child share.
    @Test func inheritedMemoryIsKeptAndTheRestMappedAround() throws {
        var sample = Sample()
        sample.records.addressSpaces[1].mappings[1].end = 0x50_6000
        for index in 0..<2 { (sample.records.addressSpaces[index].runPage, sample.records.addressSpaces[index].runLength) = ([], []) }
        sample.records.sharedPages = [.made(7, page: 0x501, count: 2, [100, 101])]
        let valid = try sample.valid()
        let owners = SharedOwners(valid.image, valid.creation)
        let tasks = RestorePlan(for: valid).tasks
        var builder = PlanBuilder(
            valid: valid, tasks: tasks, helpers: [], high: valid.high,
            launchpad: Launchpad(base: valid.hole.base, slots: 2), scratch: valid.hole.scratch,
            vdso: VdsoPlan(valid, at: valid.hole.scratch),
            pages: PageSchedule(valid.image, valid.creation, owners, delivery: .inPlace))
        builder.build()
        let root = builder.launchpad.programs[0].steps
        let clone = try #require(root.firstIndex { $0.name == "clone3" })
        let early = root[..<clone].filter { $0.name == "mmap" || $0.name == "preadv" }
        #expect(early.map(\.name) == ["mmap", "preadv"])
        #expect(early[0].arguments[0] == .value(0x50_0000) && early[0].arguments[1] == .value(0x6000))
        #expect(early[0].arguments[2] == .value(Protection.PROT_READ | Protection.PROT_WRITE))
        let places = { (steps: ArraySlice<Step>) in steps.filter { $0.name == "mmap" }.map { $0.arguments[0] } }
        #expect(!places(root[clone...]).contains(.value(0x50_0000)))
        let child = builder.launchpad.programs[1].steps[...]
        // Only what it does not inherit. The root trims what only its child has.
        #expect(places(child) == [.value(0x40_0000)])
        #expect(root[clone...].contains { $0.name == "munmap" && $0.arguments == [.value(0x50_4000), .value(0x2000)] })
        #expect(child.contains { $0.name == "mprotect" && $0.arguments == [.value(0x50_0000), .value(0x6000), .value(1)] })
    }
}
