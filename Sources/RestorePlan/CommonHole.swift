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

    /// The smallest hole, in bytes, that a tree with 32-bit tasks needs.
    static let leastBelow4GiB: UInt64 = 16 << 20
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
        // No process can map memory below this address (vm.mmap_min_addr).
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
        // The end of the hole is for the parts of the vdso.
        return CommonHole(base: base, scratch: last - 2 * (alignment + 1))
    }
}

extension CheckpointImage {
    /// Whether a task has to make calls of the i386 table.
    package var holds32BitTasks: Bool {
        addressSpaces.contains(where: \.is32Bit) || threads.contains(where: \.callIs32Bit)
    }
}
