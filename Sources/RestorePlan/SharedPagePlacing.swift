import CheckpointImage
import PidControl

/// Decides which shared pages are loaded before a fork, by which process, and what its descendants inherit from that.
///
/// Pages that cannot be shared are loaded after the last fork, once for each holder: those whose addresses are in use in
/// the process that would load them, and those that only one process holds.
struct SharedPagePlacing {
    typealias SharedPages = PageSchedule.SharedPages
    typealias Area = PageSchedule.Area

    private struct Placed {
        var pages: SharedPages
        var loader: UInt32
        /// Mappings there that are the same in all holders.
        var areas: [Area]
        var runs: AddressRanges

        var ranges: AddressRanges { AddressRanges(areas.map(\.range)) }
    }

    private let image: CheckpointImage
    private let creation: CreationPlan
    private var placed: [Placed] = []
    /// Loads before forks. Areas that a creator or an earlier load of the same process has mapped are not mapped again.
    private(set) var early: [PageSchedule.Load] = []
    /// Loads of each holder for itself.
    private(set) var late: [SharedPages] = []

    /// - Parameter loaders: by address space, the process that loads it.
    init(
        _ image: CheckpointImage, _ creation: CreationPlan, _ loaders: [UInt32: UInt32], occupied: [Range<UInt64>],
        _ sharedPages: [SharedPages]
    ) {
        self.image = image
        self.creation = creation
        let occupied = AddressRanges(occupied)
        for pages in sharedPages {
            if let one = place(pages, loaders), !one.ranges.overlaps(occupied), !placed.contains(where: { conflicts($0, one) }) {
                placed.append(one)
            } else {
                late.append(pages)
            }
        }
        for (index, one) in placed.enumerated() {
            let mapped = AddressRanges(
                placed.enumerated().filter { isMapped($0.offset, before: index) }.flatMap { $0.element.areas.map(\.range) })
            let areas = one.areas.flatMap { area in
                AddressRanges([area.range]).subtracting(mapped).map { Area(space: area.space, mapping: area.mapping, range: $0) }
            }
            let transfers = PageSchedule.transfers(one.pages.runPage, one.pages.runLength, borders: one.areas.map(\.range.upperBound))
            early.append(
                PageSchedule.Load(owner: one.pages.owner, loader: one.loader, moment: .beforeFork(areas), transfers: transfers))
        }
    }

    /// Nil: no common creator can load them.
    private func place(_ pages: SharedPages, _ loaders: [UInt32: UInt32]) -> Placed? {
        let processes = pages.holders.compactMap { loaders[$0] }
        let spaces = pages.holders.compactMap(image.addressSpace)
        guard processes.count == pages.holders.count, Set(processes).count > 1, let first = processes.first,
            let creator = processes.dropFirst().reduce(Optional(first), commonCreator), let model = spaces.first
        else { return nil }
        let loader = ownerOfMemory(atBirthOf: creator)
        let pageSize = UInt64(ImageFormat.pageSize)
        let runs = AddressRanges(zip(pages.runPage, pages.runLength).map { $0 * pageSize..<($0 + $1) * pageSize })
        var areas: [Area] = []
        for (index, mapping) in model.mappings.enumerated() where AddressRanges([mapping.range]).overlaps(runs) {
            var common = AddressRanges([mapping.range])
            for space in spaces.dropFirst() {
                let alike = space.mappings.filter { $0.continues(mapping) && mapping.range.overlaps($0.range) }
                common = common.intersection(AddressRanges(alike.map(\.range)))
            }
            areas += common.map { Area(space: model.id, mapping: index, range: $0) }
        }
        let all = AddressRanges(areas.map(\.range))
        return runs.subtracting(all).isEmpty ? Placed(pages: pages, loader: loader, areas: areas, runs: runs) : nil
    }

    /// The lowest common creator of two processes; it can be one of them.
    private func commonCreator(_ first: UInt32?, _ second: UInt32) -> UInt32? {
        var candidate = first
        while let one = candidate, !creation.created(one, second) { candidate = creation.task(one)?.creator }
        return candidate
    }

    /// A task that shares its creator's memory cannot load pages before its own creation, so its creator loads them.
    private func ownerOfMemory(atBirthOf pid: UInt32) -> UInt32 {
        var pid = pid
        while let task = creation.task(pid), task.sharesAtBirth.contains(CloneObjects(.memory)), let creator = task.creator {
            pid = creator
        }
        return pid
    }

    /// Whether two loads exclude each other, because one process would get both at the same addresses.
    private func conflicts(_ one: Placed, _ other: Placed) -> Bool {
        guard creation.created(one.loader, other.loader) || creation.created(other.loader, one.loader) else { return false }
        if one.runs.overlaps(other.runs) { return true }
        return one.areas.contains { first in
            other.areas.contains { second in first.range.overlaps(second.range) && !isAlike(first, second) }
        }
    }

    private func isAlike(_ first: Area, _ second: Area) -> Bool {
        guard let one = image.addressSpace(first.space), let other = image.addressSpace(second.space) else { return false }
        return one.mappings[first.mapping].continues(other.mappings[second.mapping])
    }

    /// Whether the areas of `other` are mapped already when `index` is loaded.
    private func isMapped(_ other: Int, before index: Int) -> Bool {
        if other == index { return false }
        if placed[other].loader == placed[index].loader { return other < index }
        return creation.created(placed[other].loader, placed[index].loader)
    }

    func inheritance(of space: UInt32, loadedBy loader: UInt32) -> PageSchedule.Inheritance {
        let inherited = placed.filter { creation.created($0.loader, loader) }
        let (own, foreign) = (inherited.filter { $0.pages.holders.contains(space) }, inherited.filter { !$0.pages.holders.contains(space) })
        let kept = AddressRanges(own.flatMap { $0.areas.map(\.range) })
        let all = AddressRanges(inherited.flatMap { $0.areas.map(\.range) })
        return PageSchedule.Inheritance(
            kept: kept, dropped: all.subtracting(kept),
            discarded: AddressRanges(foreign.flatMap(\.runs)).intersection(kept))
    }
}

extension ImageMapping {
    var range: Range<UInt64> { start..<end }

    /// Whether two mappings could be parts of one private mapping: both anonymous, or of the same file at the same distance.
    func continues(_ other: ImageMapping) -> Bool {
        guard kind == other.kind, !shared, !other.shared, has(.growsDown) == other.has(.growsDown) else { return false }
        switch kind {
        case .anonymous: return true
        case .file: return file.path == other.file.path && offset &- start == other.offset &- other.start
        case .object: return object == other.object && offset &- start == other.offset &- other.start
        default: return false
        }
    }
}
