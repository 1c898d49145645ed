import CheckpointImage
import LinuxABI
import StepProgram

/// Whether memory is loaded into huge pages.
package enum HugePageUse: String, CaseIterable, Sendable {
    case never
    /// Where the host offers them, and does not give free memory back to a host of its own (``MemoryFacts/givesMemoryBack``).
    case auto
    /// Where the host offers them.
    case always
}

/// Memory that gets huge pages before its saved pages are loaded.
///
/// One page fault for each 4 KiB takes longer than the contents. Huge pages are made by MADV_COLLAPSE, which is no advice: the program
/// has no trace of it but for the size of its pages, and changes its memory as ever. Only where each page of a huge one was saved, so that
/// the program has no more memory than before; and not where the program, or the host, does not want huge pages.
enum HugeRanges {
    /// The mapping has them anyway, must not, or would not keep them.
    private static let excluded: [ImageMappingFlag] = [.noHugePage, .mergeable, .growsDown, .droppable]

    /// What an address space gets after its process has created its children: ranges of whole huge pages, ascending.
    ///
    /// - Parameter memory: what crrestart has, and the host offers.
    static func of(_ space: ImageAddressSpace, _ pages: PageSchedule, _ memory: MemoryFacts, _ use: HugePageUse) -> [Range<UInt64>] {
        let late = pages.loads(afterForkInto: space.id).flatMap { pages.loads[$0].late }
        return whole(space.ranges.intersection(ownMappings(space, pages, memory, use)).subtracting(AddressRanges(late)), memory)
    }

    /// The same of pages that come while the tree runs, for when they are there.
    static func late(_ space: ImageAddressSpace, _ pages: PageSchedule, _ memory: MemoryFacts, _ use: HugePageUse) -> [Range<UInt64>] {
        let late = pages.loads(afterForkInto: space.id).flatMap { pages.loads[$0].late }
        return late.isEmpty ? [] : whole(space.ranges.intersection(ownMappings(space, pages, memory, use)).intersection(AddressRanges(late)), memory)
    }

    /// The same of pages that are loaded before a fork, so that processes share them: they share the huge pages, until one of them writes.
    static func beforeFork(_ load: PageSchedule.Load, _ image: CheckpointImage, _ memory: MemoryFacts, _ use: HugePageUse) -> [Range<UInt64>] {
        guard case .beforeFork(let areas) = load.moment else { return [] }
        let mappings = AddressRanges(
            areas.lazy.filter { area in
                guard let space = image.addressSpace(area.space), areMade(for: space, memory, use) else { return false }
                return isFit(space.mappings[area.mapping], memory)
            }.map(\.range))
        if mappings.isEmpty { return [] }
        let pieces = load.transfers.lazy.flatMap(\.pieces).map { $0.start..<$0.start + $0.byteCount }
        return whole(AddressRanges(pieces).intersection(mappings), memory)
    }

    private static func areMade(for space: ImageAddressSpace, _ memory: MemoryFacts, _ use: HugePageUse) -> Bool {
        let size = memory.hugePageSize
        return (use == .always || use == .auto && !memory.givesMemoryBack) && size > 0 && size & (size - 1) == 0
            && memory.hugePagesDisabled == 0 && space.hugePagesDisabled == 0 && !space.is32Bit
    }

    private static func isFit(_ mapping: ImageMapping, _ memory: MemoryFacts) -> Bool {
        mapping.kind == .anonymous && mapping.hugePageShift == 0 && !mapping.shared && mapping.end - mapping.start >= memory.hugePageSize && !excluded.contains(where: mapping.has)
    }

    /// Mappings that are filled by their own process alone.
    private static func ownMappings(_ space: ImageAddressSpace, _ pages: PageSchedule, _ memory: MemoryFacts, _ use: HugePageUse) -> AddressRanges {
        guard areMade(for: space, memory, use) else { return AddressRanges() }
        let inheritance = pages.inheritance(of: space.id)
        let isInherited = space.mappings(in: inheritance.kept.union(inheritance.late))
        return AddressRanges(
            space.mappings.indices.lazy.filter { !isInherited[$0] && isFit(space.mappings[$0], memory) }.map { space.mappings[$0].range })
    }

    private static func whole(_ ranges: AddressRanges, _ memory: MemoryFacts) -> [Range<UInt64>] {
        let size = memory.hugePageSize
        return ranges.compactMap { range in
            // A run can go over two mappings: the kernel makes no huge page over both of them, which does no harm.
            let (start, end) = ((range.lowerBound +| (size - 1)) & ~(size - 1), range.upperBound & ~(size - 1))
            return start < end ? start..<end : nil
        }
    }
}

extension RestorePlan {
    /// What of a load whose pages come while the tree runs is made into huge pages, of which size, once they are there.
    package func hugePages(afterLateLoad load: PageSchedule.Load) -> (ranges: [Range<UInt64>], size: UInt64) {
        let memory = valid.facts.ownMemory
        guard let space = valid.image.addressSpace(load.owner.id) else { return ([], memory.hugePageSize) }
        return (HugeRanges.late(space, pages, memory, valid.options.hugePages), memory.hugePageSize)
    }
}

extension PlanBuilder {
    /// Has the kernel make huge pages of zeros, if it can; otherwise the pages stay small.
    ///
    /// It makes one only where there is a page already. So each of them gets a byte first: from the list of their places itself, which
    /// is as good as any, because the saved pages come after it.
    ///
    /// - Parameter pid: of the process itself.
    mutating func useHugePages(_ program: inout Program, _ pid: Step.Argument, _ range: Range<UInt64>) {
        let size = facts.ownMemory.hugePageSize
        let places = Array(stride(from: range.lowerBound, to: range.upperBound, by: Int(size)))
        for part in stride(from: 0, to: places.count, by: PageSchedule.mostPieces).map({ places[$0..<min($0 + PageSchedule.mostPieces, places.count)] }) {
            let bytes = launchpad.add(words: part.flatMap { [$0, 1] })
            let source = launchpad.add(words: [bytes, UInt64(part.count)])
            program.call(
                .process_vm_readv, [pid, .value(bytes), .number(part.count), .value(source), 1, 0], check: .none,
                "a byte for each huge page")
        }
        program.call(
            .madvise, [.value(range.lowerBound), .number(range.count), .value(Madvise.MADV_COLLAPSE)], check: .none,
            "\(byteCount(UInt64(range.count))) in huge pages, if there are some")
    }
}
