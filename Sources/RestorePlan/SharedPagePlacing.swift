import CheckpointImage
import PidControl

/// Decides which shared pages are loaded before a fork, by which process, and what its descendants inherit from that.
///
/// A set is loaded by the lowest process that creates all its holders, into *regions*: what the mappings of all holders at one
/// place are parts of. A holder trims the region to its own mapping, which so stays one mapping: what is mapped beside inherited
/// memory does not become one with it, and mremap(2) refuses two.
///
/// What a holder cannot inherit it loads for itself, after the last fork: nothing depends on how good the placing is.
struct SharedPagePlacing {
    typealias Area = PageSchedule.Area
    typealias Load = PageSchedule.Load

    /// Private mappings of several spaces that are, or could be, parts of one.
    private struct Region {
        var space: UInt32
        /// Index among the mappings of that space.
        var mapping: Int
        var range: Range<UInt64>
    }

    /// What a process has loaded or inherited when it begins to create others.
    fileprivate struct Inherited {
        /// Regions, ascending.
        var regions: [Int] = []
        /// Disjoint, ascending; pages of the set with this index.
        var pages: [(range: Range<UInt64>, set: Int)] = []
    }

    private let image: CheckpointImage
    private let creation: CreationPlan
    private let occupied: AddressRanges
    private var regions: [Region] = []
    /// By space: the mappings with pages that it shares, and the region of each, ascending.
    private var places: [UInt32: [(mapping: Int, region: Int)]] = [:]
    /// By process that loads sets: what its children inherit.
    private var inherited: [UInt32: Inherited] = [:]
    /// Those before a fork come first, those of creators before those of their children.
    private(set) var loads: [Load] = []
    private(set) var inheritances: [UInt32: PageSchedule.Inheritance] = [:]

    /// - Parameter loaders: by address space, the process that loads it.
    init(_ image: CheckpointImage, _ creation: CreationPlan, _ loaders: [UInt32: UInt32], occupied: [Range<UInt64>]) {
        self.image = image
        self.creation = creation
        self.occupied = AddressRanges(occupied)
        if image.sharedPages.isEmpty { return }
        findRegions()
        placeSets(loaders)
        for space in image.addressSpaces {
            if let loader = loaders[space.id] { inherit(space, loader) }
        }
    }

    // MARK: - Regions

    private mutating func findRegions() {
        var members: [Region] = []
        for space in image.addressSpaces {
            var held = AddressRanges()
            for (set, holder) in image.sharedBy(space.id) { held = held.union(image.sharedPages[set].holders[holder].ranges) }
            if held.isEmpty { continue }
            for index in held.indices(of: space.mappings) where !space.mappings[index].shared {
                members.append(Region(space: space.id, mapping: index, range: space.mappings[index].range))
            }
        }
        members.sort { $0.range.lowerBound < $1.range.lowerBound }
        var open: [Int] = []
        for member in members {
            open.removeAll { regions[$0].range.upperBound <= member.range.lowerBound }
            let region: Int
            if let known = open.first(where: { mapping(regions[$0]).continues(mapping(member)) }) {
                region = known
                let range = regions[known].range
                regions[known].range = range.lowerBound..<max(range.upperBound, member.range.upperBound)
            } else {
                region = regions.count
                regions.append(member)
                open.append(region)
            }
            places[member.space, default: []].append((member.mapping, region))
        }
    }

    private func mapping(_ region: Region) -> ImageMapping {
        image.addressSpace(region.space)?.mappings[region.mapping] ?? ImageMapping()
    }

    // MARK: - Before forks

    private mutating func placeSets(_ loaders: [UInt32: UInt32]) {
        var sets: [UInt32: [Int]] = [:]
        for (index, set) in image.sharedPages.enumerated() {
            let processes = set.holders.compactMap { loaders[$0.addressSpace] }
            guard Set(processes).count > 1, let first = processes.first,
                let creator = processes.dropFirst().reduce(Optional(first), commonCreator)
            else { continue }
            sets[ownerOfMemory(atBirthOf: creator), default: []].append(index)
        }
        // A creator comes before what it creates, so that its own loads are known.
        for pid in sets.keys.map({ (depth(of: $0), $0) }).sorted(by: <).map(\.1) { place(sets[pid] ?? [], in: pid) }
    }

    /// How many processes are above it.
    private func depth(of pid: UInt32) -> Int {
        var depth = 0
        var creator = creation.task(pid)?.creator
        while let one = creator { (depth, creator) = (depth + 1, creation.task(one)?.creator) }
        return depth
    }

    private mutating func place(_ sets: [Int], in pid: UInt32) {
        var state = memory(inheritedBy: pid)
        var own = AddressRanges()
        for index in sets {
            let set = image.sharedPages[index]
            var used: Set<Int> = []
            for holder in set.holders {
                let held = holder.ranges
                for (mapping, region) in places[holder.addressSpace] ?? [] where !used.contains(region) {
                    let range = image.addressSpace(holder.addressSpace)?.mappings[mapping].range ?? 0..<0
                    if held.overlaps(AddressRanges([range])) { used.insert(region) }
                }
            }
            var areas: [Area] = []
            var usable: [Range<UInt64>] = []
            for region in used.sorted() {
                let range = regions[region].range
                if !state.regions.contains(region) {
                    if occupied.overlaps(AddressRanges([range])) || state.regions.contains(where: { regions[$0].range.overlaps(range) }) {
                        continue
                    }
                    state.regions.append(region)
                    areas.append(Area(space: regions[region].space, mapping: regions[region].mapping, range: range))
                }
                usable.append(range)
            }
            let pages = set.ranges.intersection(AddressRanges(usable)).subtracting(own)
            if pages.isEmpty && areas.isEmpty { continue }
            let transfers = PageSchedule.transfers(set.runPage, set.runLength, only: pages, borders: usable.map(\.upperBound).sorted())
            loads.append(
                Load(owner: PageOwner(.sharedPages, set.id), loader: pid, moment: .beforeFork(areas), transfers: transfers))
            own = own.union(pages)
            state.put(pages, of: index)
        }
        inherited[pid] = state
    }

    /// What a process has at its birth.
    private func memory(inheritedBy pid: UInt32) -> Inherited {
        var creator = creation.task(pid)?.creator
        while let one = creator {
            if let known = inherited[one] { return known }
            creator = creation.task(one)?.creator
        }
        return Inherited()
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

    // MARK: - After forks

    private mutating func inherit(_ space: ImageAddressSpace, _ loader: UInt32) {
        let state = inherited[loader] ?? memory(inheritedBy: loader)
        let mapped = Set(state.regions)
        let candidates = (places[space.id] ?? []).filter { mapped.contains($0.region) }.map { space.mappings[$0.mapping].range }
        let reachable = AddressRanges(candidates)
        var inheritance = PageSchedule.Inheritance()
        var found = AddressRanges()
        for (set, holder) in image.sharedBy(space.id) {
            let held = image.sharedPages[set].holders[holder].ranges
            let there = AddressRanges(state.pages.lazy.filter { $0.set == set }.map(\.range))
            let got = held.intersection(there).intersection(reachable)
            found = found.union(got)
            let missing = held.subtracting(got)
            if missing.isEmpty { continue }
            inheritance.late = inheritance.late.union(missing)
            let shared = image.sharedPages[set]
            loads.append(
                Load(
                    owner: PageOwner(.sharedPages, shared.id), loader: loader, moment: .afterFork(space: space.id),
                    transfers: PageSchedule.transfers(
                        shared.runPage, shared.runLength, only: missing, borders: space.mappings.map(\.end))))
        }
        let useful = candidates.filter { found.overlaps(AddressRanges([$0])) }
        inheritance.kept = AddressRanges(useful)
        inheritance.dropped = AddressRanges(state.regions.map { regions[$0].range }).subtracting(inheritance.kept)
        // What is loaded anyway need not be discarded first.
        inheritance.discarded = AddressRanges(state.pages.map(\.range)).intersection(inheritance.kept)
            .subtracting(found).subtracting(inheritance.late).subtracting(space.ranges)
        inheritances[space.id] = inheritance
    }
}

extension SharedPagePlacing.Inherited {
    /// Later pages lie over earlier ones.
    fileprivate mutating func put(_ new: AddressRanges, of set: Int) {
        var left: [(range: Range<UInt64>, set: Int)] = []
        var next = 0
        for (range, owner) in pages {
            var start = range.lowerBound
            while next < new.ranges.count && new.ranges[next].upperBound <= start { next += 1 }
            var place = next
            while place < new.ranges.count, new.ranges[place].lowerBound < range.upperBound {
                let hole = new.ranges[place]
                if hole.lowerBound > start { left.append((start..<hole.lowerBound, owner)) }
                start = max(start, hole.upperBound)
                place += 1
            }
            if start < range.upperBound { left.append((start..<range.upperBound, owner)) }
        }
        left += new.map { ($0, set) }
        pages = left.sorted { $0.range.lowerBound < $1.range.lowerBound }
    }
}

extension AddressRanges {
    /// Runs of pages.
    init(_ runPage: [UInt64], _ runLength: [UInt64]) {
        let pageSize = UInt64(ImageFormat.pageSize)
        self.init(zip(runPage, runLength).map { $0 * pageSize..<($0 + $1) * pageSize })
    }

    /// Which mappings, ascending, overlap these ranges.
    func indices(of mappings: [ImageMapping]) -> [Int] {
        var next = 0
        return mappings.indices.filter { index in
            while next < ranges.count && ranges[next].upperBound <= mappings[index].start { next += 1 }
            return next < ranges.count && ranges[next].lowerBound < mappings[index].end
        }
    }
}

extension ImageSharedPages {
    var ranges: AddressRanges { AddressRanges(runPage, runLength) }
}

extension ImagePageHolder {
    var ranges: AddressRanges { AddressRanges(runPage, runLength) }
}

extension ImageAddressSpace {
    var ranges: AddressRanges { AddressRanges(runPage, runLength) }
}

extension ImageMapping {
    var range: Range<UInt64> { start..<end }

    /// Whether two mappings could be parts of one private mapping: both anonymous, or of the same file at the same distance.
    func continues(_ other: ImageMapping) -> Bool {
        guard kind == other.kind, !shared, !other.shared, has(.growsDown) == other.has(.growsDown),
            has(.noReserve) == other.has(.noReserve), has(.droppable) == other.has(.droppable)
        else { return false }
        switch kind {
        case .anonymous: return true
        case .file: return file == other.file && offset &- start == other.offset &- other.start
        case .object: return object == other.object && offset &- start == other.offset &- other.start
        default: return false
        }
    }
}
