package import CheckpointImage

/// A range of addresses that is free in the address spaces of all tasks and of the tool: for the launchpad, and for
/// scratch space beside it.
struct CommonHole: Sendable, Equatable {
    /// The address of the launchpad.
    var base: UInt64
    /// The address of the scratch space, where mappings stay for a while when they are moved.
    var scratch: UInt64

    /// The largest size of the launchpad in bytes.
    var room: UInt64 { scratch - base }

    /// The smallest hole, in bytes, that is of any use.
    static let least: UInt64 = 16 << 20
    /// Where the addresses of 64-bit programs end.
    private static let end: UInt64 = 0x7fff_ffff_f000
    /// The distance between the hole and the mappings beside it, because stacks grow down into free space.
    private static let distance: UInt64 = 1 << 20
    private static let alignment: UInt64 = 0x1f_ffff

    /// Nil where there is none.
    init?(_ image: CheckpointImage, _ facts: HostFacts) {
        var used = facts.ownMappings
        for space in image.addressSpaces {
            used += space.mappings.map { HostFacts.Range(start: $0.start, end: $0.end) }
        }
        // The operands of int $0x80 have to lie below 4 GiB, where there is less free space.
        if image.holds32BitTasks {
            guard let low = Self(largestIn: used, below: 1 << 32) else { return nil }
            self = low
            return
        }
        let mapped = used
        for space in image.addressSpaces {
            used.append(HostFacts.Range(start: space.startBreak, end: space.currentBreak + (1 << 30)))
        }
        let size: UInt64 = 2 << 30
        var candidate: UInt64 = 0x2000_0000_0000
        for range in used.sorted(by: { $0.start < $1.start }) where range.end > candidate {
            if range.start >= candidate + size + (64 << 20) { break }
            candidate = (range.end + Self.alignment) & ~Self.alignment
        }
        if candidate > Self.end - size - (64 << 20) {
            // A program has taken nearly all there is.
            guard let largest = Self(largestIn: mapped, below: Self.end) else { return nil }
            self = largest
            return
        }
        base = candidate
        scratch = candidate + (1 << 30)
    }

    private init(base: UInt64, scratch: UInt64) {
        self.base = base
        self.scratch = scratch
    }

    /// The largest hole below `end`.
    private init?(largestIn used: [HostFacts.Range], below end: UInt64) {
        var best: (start: UInt64, end: UInt64) = (0, 0)
        // No process can map memory below this address (vm.mmap_min_addr).
        var start: UInt64 = 16 << 20
        func consider(_ next: UInt64) {
            if next > start && next - start > best.end - best.start { best = (start, next) }
        }
        for range in used.sorted(by: { $0.start < $1.start }) where range.start < end {
            consider(range.start)
            start = max(start, range.end)
        }
        consider(end - Self.distance)
        let base = (best.start + Self.distance + Self.alignment) & ~Self.alignment
        let last = best.end & ~Self.alignment
        guard last >= base + Self.least else { return nil }
        // The end of the hole is for the parts of the vdso.
        self.init(base: base, scratch: last - 2 * (Self.alignment + 1))
    }
}

extension CheckpointImage {
    /// Whether a task has to make calls of the i386 table.
    package var holds32BitTasks: Bool {
        addressSpaces.contains(where: \.is32Bit) || threads.contains(where: \.callIs32Bit)
    }
}
