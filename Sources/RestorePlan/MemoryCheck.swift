import CheckpointImage
import StepProgram

/// What this kernel does not know of the memory that the tree has.
struct MemoryCheck {
    private let facts: MemoryFacts

    init(_ facts: HostFacts) { self.facts = facts.ownMemory }

    /// The launchpad, and what a change in the middle of a mapping makes of it for a moment.
    private static let spareMappings = 16

    func check(_ image: CheckpointImage, _ findings: inout HostFindings) {
        checkPools(image, &findings)
        for process in image.processes where process.state != .zombie {
            guard let space = image.addressSpace(of: process) else { continue }
            let place = "\(process.pid) \(process.command.asText)"
            let needed = space.mappings.count + Self.spareMappings
            if needed > facts.mostMappings {
                findings.find(
                    place, "has \(space.mappings.count) mappings; with those of the restart that is more than the \(facts.mostMappings) that this kernel allows",
                    help: "sysctl vm.max_map_count=\(needed)")
            }
            if !space.guardPage.isEmpty && !facts.knowsGuards {
                findings.find(place, "has guard pages (MADV_GUARD_INSTALL), which this kernel does not know", help: "Linux 6.13 does")
            }
            if !facts.knowsSeals && space.mappings.contains(where: { $0.has(.sealed) }) {
                findings.find(place, "has sealed memory (mseal), which this kernel does not know", help: "Linux 6.10 does")
            }
        }
    }

    /// Huge pages from a pool are reserved when they are mapped. Where the program wanted none reserved, only the saved ones are counted.
    private func checkPools(_ image: CheckpointImage, _ findings: inout HostFindings) {
        guard let free = facts.hugePages else { return }
        var needed: [UInt32: UInt64] = [:]
        for object in image.memoryObjects where object.hugePageShift != 0 { needed[object.hugePageShift, default: 0] += object.size >> UInt64(object.hugePageShift) }
        for space in image.addressSpaces {
            for mapping in space.mappings where mapping.hugePageShift != 0 {
                let bytes = mapping.has(.noReserve)
                    ? space.ranges.intersection(AddressRanges([mapping.range])).reduce(0) { $0 + UInt64($1.count) } : mapping.end - mapping.start
                needed[mapping.hugePageShift, default: 0] += bytes >> UInt64(mapping.hugePageShift)
            }
        }
        for (shift, count) in needed.sorted(by: { $0.key < $1.key }) {
            let size: UInt64 = 1 << UInt64(shift)
            let found = free[size] ?? 0
            guard found < count else { continue }
            findings.find(
                "memory", "the tree needs \(count) huge pages of \(byteCount(size)) from the pool, which has \(found) to give",
                help: "raise the number in /sys/kernel/mm/hugepages/hugepages-\(size >> 10)kB/nr_hugepages by \(count - found)")
        }
    }
}
