import CheckpointImage
import LinuxABI
import StepProgram

extension PlanBuilder {
    /// Moves the vdso to its place in this process, in the memory that task `pid` has from its creation, and unmaps all
    /// other memory except the launchpad.
    ///
    /// The parts are moved one by one. If an old place overlaps with a new one they are moved to the scratch space first.
    mutating func moveVdso(
        _ program: inout Program, _ process: ImageProcess, _ space: ImageAddressSpace, of pid: UInt32, isRoot: Bool
    ) {
        let wanted = vdso.parts(in: space)
        let birthSpace = birthSpace(of: pid)
        let current = birthSpace.map(vdso.parts) ?? facts.vdsoParts
        let base = launchpad.base
        func drop(_ start: UInt64, _ end: UInt64) {
            if end > start { program.call(.munmap, [.value(start), .value(end - start)], "drop what was there") }
        }
        let currentStart = current.first?.start ?? 0
        let currentEnd = current.last?.end ?? 0
        let launchpadEnd = scratch
        let kept = [(base, launchpadEnd), (currentStart, currentEnd)].sorted { $0.0 < $1.0 }
        if isRoot {
            var position: UInt64 = 0
            for (start, end) in kept {
                drop(position, start)
                position = end
            }
            drop(position, Self.userEnd)
        }
        guard let first = wanted.first else { return }
        let wantedEnd = wanted[wanted.count - 1].end
        if space.is32Bit != (birthSpace?.is32Bit ?? false) {
            drop(currentStart, currentEnd)
            mapAnew(&program, first.start, wantedEnd, is32Bit: space.is32Bit)
            return
        }
        if current.count != wanted.count {
            // One of the two has given up a part. The kernel maps all of them or none.
            let code = wanted[wanted.count - 1]
            let start = code.start - min(code.start, UInt64(facts.vdso.dataSize))
            drop(currentStart, currentEnd)
            mapAnew(&program, start, code.end, is32Bit: space.is32Bit)
            var position = start
            for part in wanted {
                drop(position, part.start)
                position = part.end
            }
            return
        }
        guard first.start != currentStart else { return }
        let overlaps = first.start < currentEnd && currentStart < wantedEnd
        var from = current
        if overlaps {
            let distance = scratch &- currentStart
            for part in from { move(&program, part, to: part.start &+ distance) }
            from = from.map { HostFacts.Range(start: $0.start &+ distance, end: $0.end &+ distance) }
        }
        for (part, place) in zip(from, wanted) { move(&program, part, to: place.start) }
    }

    private func move(_ program: inout Program, _ part: HostFacts.Range, to place: UInt64) {
        let size = part.end - part.start
        program.call(
            .mremap, [.value(part.start), .value(size), .value(size), 3, .value(place)],
            check: .equals(Int64(bitPattern: place)), "vdso part to its place")
    }

    /// Makes the kernel map the vdso for 32-bit programs in place of that for 64-bit ones, or the other way round: a process
    /// has only one of the two.
    ///
    /// The address is a hint. The kernel follows it if nothing is mapped there, and the step checks that it did.
    ///
    /// - Source: arch_prctl(2), ARCH_MAP_VDSO_32 and ARCH_MAP_VDSO_64.
    private func mapAnew(_ program: inout Program, _ start: UInt64, _ end: UInt64, is32Bit: Bool) {
        #if arch(x86_64)
            let code = is32Bit ? image.header.vdso32.codeSize : facts.vdso.codeSize
            program.call(
                .arch_prctl, [.value(is32Bit ? ArchPrctl.ARCH_MAP_VDSO_32 : ArchPrctl.ARCH_MAP_VDSO_64), .value(start)], check: .equals(Int64(code)),
                "vdso of \(is32Bit ? 32 : 64)-bit programs")
            program.call(.madvise, [.value(start), .value(end - start), 0], "it is where it was")
        #endif
    }

    /// Maps the code of the old vdso, with its functions replaced, at its old address.
    mutating func mapVdsoProxy(_ program: inout Program, _ process: ImageProcess, _ mapping: ImageMapping) {
        guard let proxy = vdso.proxy, mapping.kind == .vdsoCode,
            image.addressSpace(of: process)?.is32Bit == false, case .value(let source) = data(proxy.code) else { return }
        let size = mapping.end - mapping.start
        let place: [Step.Argument] = [.value(mapping.start), .value(size)]
        program.call(
            .mmap,
            place + [
                .value(Protection.PROT_READ | Protection.PROT_WRITE),
                .value(Mmap.MAP_PRIVATE | Mmap.MAP_ANONYMOUS | Mmap.MAP_FIXED_NOREPLACE), .signed(-1), 0,
            ], check: .equals(Int64(bitPattern: mapping.start)),
            "for the source kernel's vdso")
        let vectors = launchpad.add(words: [mapping.start, size, source, size])
        program.call(
            .process_vm_readv, [.number(process.ownPid), .value(vectors), 1, .value(vectors + 16), 1, 0],
            check: .equals(Int64(size)), "its functions hand over to this kernel's")
        program.call(.mprotect, place + [.value(Protection.PROT_READ | Protection.PROT_EXEC)])
    }
}
