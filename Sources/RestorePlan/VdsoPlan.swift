internal import ArchState
package import CheckpointImage

/// The address of this kernel's vdso in the tasks.
///
/// If the source kernel had the same vdso, it is moved to its old address in each task. Otherwise it is moved to an address
/// that is free in all tasks, and a ``VdsoProxy`` of the old vdso is mapped at the old address.
package struct VdsoPlan: Sendable {
    /// Nil if the source kernel had the same vdso.
    let proxy: VdsoProxy?
    private let parts: [HostFacts.Range]

    /// - Parameter place: an address at which the vdso and its data have room.
    init(_ valid: ValidImage, at place: UInt64) {
        guard valid.usesVdsoProxy, let first = valid.facts.vdsoParts.first else {
            proxy = nil
            parts = []
            return
        }
        parts = valid.facts.vdsoParts.map {
            HostFacts.Range(start: $0.start - first.start + place, end: $0.end - first.start + place)
        }
        proxy = VdsoProxy(
            old: valid.image.header.vdso.code.asBytes, new: valid.facts.vdso.code.asBytes,
            at: parts.last?.start ?? 0)
    }

    /// The parts (data and code) of this kernel's vdso in an address space, in the order of their addresses.
    func parts(in space: ImageAddressSpace) -> [HostFacts.Range] {
        if proxy != nil && !space.is32Bit { return parts }
        return space.mappings.filter(Self.isPart).map { HostFacts.Range(start: $0.start, end: $0.end) }
    }

    /// The code of this kernel's vdso in an address space: the last one of its parts, which is near the end of the mappings.
    package func code(in space: ImageAddressSpace) -> HostFacts.Range? {
        if proxy != nil && !space.is32Bit { return parts.last }
        return space.mappings.last(where: Self.isPart).map { HostFacts.Range(start: $0.start, end: $0.end) }
    }

    private static func isPart(_ mapping: ImageMapping) -> Bool {
        let kind = mapping.kind
        return kind == .vdsoData || kind == .vdsoCode
    }
}

extension ValidImage {
    /// Whether the source kernel's vdso has to be kept beside this kernel's. Finds why that is impossible, if it is.
    static func needsVdsoProxy(
        _ image: CheckpointImage, _ states: [CPUState?], _ facts: HostFacts, _ options: RestartOptions,
        _ find: (String, String, String) -> Void
    ) -> Bool {
        for process in image.processes where process.state != .zombie {
            guard let space = image.addressSpace(of: process), !space.mappings.contains(where: { $0.kind == .vdsoCode }) else { continue }
            find(
                "\(process.pid) \(process.command.asText)",
                "has unmapped its [vdso], through which a restart leaves its memory at last", "a program that keeps it can be restarted")
        }
        // 32-bit programs have another vdso (`vdso32`).
        guard image.addressSpaces.contains(where: { !$0.is32Bit }) else { return false }
        let (old, new) = (image.header.vdso, facts.vdso)
        let isSame = old.dataSize == new.dataSize && old.codeSize == new.codeSize && old.checksum == new.checksum
        if isSame && !options.keepsOldVdso { return false }
        let kernel = image.header.kernelRelease
        guard !facts.vdsoParts.isEmpty,
            VdsoProxy(old: old.code.asBytes, new: new.code.asBytes, at: facts.vdsoParts[0].start) != nil
        else {
            find("vdso", "this kernel maps another vdso than \(kernel) did, and the two cannot be joined", "restart it on a host with the same kernel")
            return false
        }
        for (thread, state) in zip(image.threads, states) {
            guard let state, let process = image.process(thread.process),
                let space = image.addressSpace(of: process), !space.is32Bit,
                let code = space.mappings.first(where: { $0.kind == .vdsoCode })
            else { continue }
            if code.end - code.start != UInt64(old.codeSize) {
                find("\(process.pid) \(process.command.asText)", "its vdso has another size than the header says", "the image was damaged or made up")
            } else if thread.insideVdso || (code.start..<code.end).contains(state.general.rip) {
                find(
                    "thread \(thread.tid)", "was stopped inside the vdso of \(kernel), and this kernel maps another one",
                    "restart it on a host with the same kernel, or take the checkpoint again")
            }
        }
        return true
    }
}
