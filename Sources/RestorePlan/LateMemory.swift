import CheckpointImage
import StepProgram

/// Which pages come while the tree runs (`--lazy`), and what that needs.
///
/// A page that is missing is waited for in the task that touches it: userfaultfd(2) on private anonymous memory. What else has
/// pages in the image is loaded before, as ever: mappings of files, memory that is locked in place, that forked processes share, or
/// that is different in a fork, and small mappings, for which it is not worth while.
enum LateMemory {
    /// Saved pages of a mapping below which it is loaded before the tree runs: those of one checksum.
    static let least = UInt64(ImageFormat.checksumBlock / ImageFormat.pageSize)

    /// The kernel tells nothing of these in a fork, or they have to be there.
    private static let excluded: [ImageMappingFlag] = [
        .growsDown, .locked, .lockOnFault, .dontFork, .wipeOnFork, .droppable, .sealed,
    ]

    /// Whole mappings.
    static func ranges(of space: ImageAddressSpace, _ inheritance: PageSchedule.Inheritance) -> AddressRanges {
        let isInherited = space.mappings(in: inheritance.kept.union(inheritance.late).union(inheritance.discarded))
        let pages = savedPages(space)
        return AddressRanges(
            space.mappings.indices.lazy.filter { index in
                let mapping = space.mappings[index]
                return mapping.kind == .anonymous && mapping.hugePageShift == 0 && !mapping.shared && !isInherited[index] && pages[index] >= least
                    && !excluded.contains(where: mapping.has)
            }.map { space.mappings[$0].range })
    }

    /// By mapping, in one pass.
    private static func savedPages(_ space: ImageAddressSpace) -> [UInt64] {
        let saved = space.ranges.ranges
        var next = 0
        return space.mappings.map { mapping in
            while next < saved.count && saved[next].upperBound <= mapping.start { next += 1 }
            var bytes: UInt64 = 0
            var place = next
            while place < saved.count && saved[place].lowerBound < mapping.end {
                bytes += UInt64(saved[place].clamped(to: mapping.range).count)
                place += 1
            }
            return bytes / UInt64(ImageFormat.pageSize)
        }
    }

    static func check(_ facts: HostFacts, _ findings: inout HostFindings) {
        // The tasks make the descriptors with what crrestart has: in a user namespace of its own that is not enough.
        guard let reason = facts.isInOwnUserNamespace ? "EPERM" : facts.faultRefusal else { return }
        findings.find(
            "--lazy", "page faults of the tree cannot be answered here: \(reason) (userfaultfd)",
            help: reason == "EPERM" ? "CAP_SYS_PTRACE is needed: be root, or restart without --lazy" : "restart without --lazy")
    }

    /// Bytes of a load that come while the tree runs.
    static func byteCount(_ load: PageSchedule.Load, _ image: CheckpointImage) -> UInt64 {
        guard !load.late.isEmpty, let space = image.addressSpace(load.owner.id) else { return 0 }
        return space.ranges.intersection(AddressRanges(load.late)).reduce(0) { $0 + UInt64($1.count) }
    }
}

extension RestorePlan {
    /// Bytes of pages that come while the tree runs.
    package var lateBytes: UInt64 { pages.loads.reduce(0) { $0 + LateMemory.byteCount($1, valid.image) } }

    /// What `--dry-run` says about them.
    func lateLines() -> [String] {
        guard valid.options.isLazy else { return [] }
        let count = pages.loads.count { !$0.late.isEmpty }
        return ["", "lazy  \(byteCount(lateBytes)) in \(count) address space\(count == 1 ? "" : "s") come while the tree runs"]
    }
}
