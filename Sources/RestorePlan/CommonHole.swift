package import CheckpointImage

/// A place that no task's address space and none of the tool's mappings use: for the launchpad, and for
/// room beside it.
struct CommonHole: Sendable, Equatable {
    /// Where the launchpad goes.
    var base: UInt64
    /// What else may be put somewhere while things are moved.
    var scratch: UInt64

    /// Bytes that the launchpad may have.
    var room: UInt64 { scratch - base }

    /// What a tree with 32-bit tasks has to leave.
    static let leastBelow4GiB: UInt64 = 16 << 20
    /// Kept between the hole and what is beside it: stacks grow down into what lies below them.
    private static let distance: UInt64 = 1 << 20
    private static let alignment: UInt64 = 0x1f_ffff

    /// Nil where there is none.
    init?(_ image: CheckpointImage, _ facts: HostFacts) {
        var used = facts.ownMappings
        for space in image.addressSpaces {
            used += space.mappings.map { HostFacts.Range(start: $0.start, end: $0.end) }
        }
        // What is named by int $0x80 has to lie below 4 GiB, where there is less room to waste.
        if image.holds32BitTasks {
            guard let low = Self.low(used) else { return nil }
            self = low
            return
        }
        for space in image.addressSpaces {
            used.append(HostFacts.Range(start: space.startBreak, end: space.currentBreak + (1 << 30)))
        }
        let size: UInt64 = 2 << 30
        var candidate: UInt64 = 0x2000_0000_0000
        for range in used.sorted(by: { $0.start < $1.start }) where range.end > candidate {
            if range.start >= candidate + size + (64 << 20) { break }
            candidate = (range.end + Self.alignment) & ~Self.alignment
        }
        base = candidate
        scratch = candidate + (1 << 30)
    }

    private init(base: UInt64, scratch: UInt64) {
        self.base = base
        self.scratch = scratch
    }

    /// The largest hole below 4 GiB.
    private static func low(_ used: [HostFacts.Range]) -> CommonHole? {
        let end: UInt64 = 1 << 32
        var best: (start: UInt64, end: UInt64) = (0, 0)
        // Below this nobody may map anything (vm.mmap_min_addr).
        var start: UInt64 = 16 << 20
        func consider(_ next: UInt64) {
            if next > start && next - start > best.end - best.start { best = (start, next) }
        }
        for range in used.sorted(by: { $0.start < $1.start }) where range.start < end {
            consider(range.start)
            start = max(start, range.end)
        }
        consider(end - distance)
        let base = (best.start + distance + alignment) & ~alignment
        let last = best.end & ~alignment
        guard last >= base + leastBelow4GiB else { return nil }
        // At its end the parts of the vdso have room, and more.
        return CommonHole(base: base, scratch: last - 2 * (alignment + 1))
    }
}

extension CheckpointImage {
    /// Whether any task has to make calls as 32-bit programs do.
    package var holds32BitTasks: Bool {
        addressSpaces.contains(where: \.is32Bit) || threads.contains(where: \.callIs32Bit)
    }
}
