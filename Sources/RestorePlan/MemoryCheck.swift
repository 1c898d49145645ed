import CheckpointImage

/// What this kernel does not know of the memory that the tree has.
struct MemoryCheck {
    private let facts: MemoryFacts

    init(_ facts: HostFacts) { self.facts = facts.ownMemory }

    /// The launchpad, and what a change in the middle of a mapping makes of it for a moment.
    private static let spareMappings = 16

    func check(_ image: CheckpointImage, _ findings: inout HostFindings) {
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
}
