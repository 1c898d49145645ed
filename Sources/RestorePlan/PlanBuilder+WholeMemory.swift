import CheckpointImage
import LinuxABI
import StepProgram

/// What belongs to parts of several mappings, or to the memory of a process as a whole.
extension PlanBuilder {
    /// Lets the tree map and lock what it had, whatever soft limits crrestart was started with. The limits of each process come
    /// at the end.
    mutating func raiseLimits(_ program: inout Program) {
        for resource in [Rlimit.RLIMIT_DATA, Rlimit.RLIMIT_MEMLOCK, Rlimit.RLIMIT_AS] {
            guard facts.hardLimits.indices.contains(Int(resource)) else { continue }
            var bytes: [UInt8] = []
            for _ in 0..<2 { bytes.append(littleEndian: facts.hardLimits[Int(resource)]) }
            program.call(.prlimit64, [0, .number(resource), data(bytes), 0], "limit \(resource) as high as it may be")
        }
    }

    /// Comes before anything is mapped, so that no page is made that the program would not have.
    mutating func beginMemory(_ program: inout Program, _ space: ImageAddressSpace) {
        guard space.hugePagesDisabled != facts.ownMemory.hugePagesDisabled else { return }
        // The value is that of PR_GET_THP_DISABLE: whether, and PR_THP_DISABLE_EXCEPT_ADVISED.
        program.call(
            .prctl,
            [
                .value(Prctl.PR_SET_THP_DISABLE), .number(space.hugePagesDisabled & 1),
                .number(space.hugePagesDisabled & ~1), 0, 0,
            ], "PR_SET_THP_DISABLE")
    }

    /// Makes guard pages. Comes before mappings are locked: no guard can be put into locked memory.
    func installGuards(_ program: inout Program, _ space: ImageAddressSpace) {
        for (page, length) in zip(space.guardPage, space.guardLength) {
            program.call(
                .madvise,
                [.value(page &* facts.pageSize), .value(length &* facts.pageSize), .value(Madvise.MADV_GUARD_INSTALL)],
                "MADV_GUARD_INSTALL")
        }
    }

    /// Gives names to anonymous memory.
    ///
    /// A kernel without CONFIG_ANON_VMA_NAME refuses: names are for people, and nothing else is lost.
    mutating func nameMapping(_ program: inout Program, _ mapping: ImageMapping) {
        if mapping.name.isEmpty { return }
        program.call(
            .prctl,
            [
                .value(Prctl.PR_SET_VMA), .value(Prctl.PR_SET_VMA_ANON_NAME), .value(mapping.start),
                .value(mapping.end - mapping.start), path(mapping.name.asBytes),
            ], check: .none, "PR_SET_VMA_ANON_NAME \(mapping.name.asText)")
    }

    /// Comes when everything is in its place: each of these forbids, or changes, what earlier steps do.
    mutating func finishMemory(_ program: inout Program, _ space: ImageAddressSpace) {
        if space.mergesPages != facts.ownMemory.mergesPages {
            program.call(
                .prctl, [.value(Prctl.PR_SET_MEMORY_MERGE), .number(space.mergesPages ? 1 : 0), 0, 0, 0], "PR_SET_MEMORY_MERGE")
        }
        if space.hasCoreFilter, let own = facts.ownMemory.coreFilter, own != space.coreFilter { writeCoreFilter(&program, space) }
        if space.locksToCome != 0 {
            program.call(.mlockall, [.number(space.locksToCome)], "memory to come is locked (MCL_FUTURE)")
        }
        if space.writeExecute != 0 {
            program.call(.prctl, [.value(Prctl.PR_SET_MDWE), .number(space.writeExecute), 0, 0, 0], "PR_SET_MDWE")
        }
        for mapping in space.mappings where mapping.has(.sealed) && mapping.kind != .vdsoData && mapping.kind != .vdsoCode {
            program.call(.mseal, [.value(mapping.start), .value(mapping.end - mapping.start), 0], "sealed")
        }
    }

    /// - Precondition: the low descriptors are free.
    private mutating func writeCoreFilter(_ program: inout Program, _ space: ImageAddressSpace) {
        open(&program, Array("/proc/self/coredump_filter".utf8), flags: 1, as: scratchDescriptor)
        let text = Array(("0x" + String(space.coreFilter, radix: 16)).utf8)
        program.call(.write, [.number(scratchDescriptor), data(text), .number(text.count)], "coredump_filter")
        program.call(.close, [.number(scratchDescriptor)])
    }

    /// Tells for each mapping whether there are guard pages in it, in one pass.
    func mappingsWithGuards(_ space: ImageAddressSpace) -> [Bool] { space.mappings(of: space.guardPage, space.guardLength, facts.pageSize) }
}
