import CheckpointImage
import LinuxABI
import StepProgram

extension PlanBuilder {
    /// Maps memory that several descendants share copy-on-write, and loads its pages, so that they inherit them.
    mutating func loadSharedPages(_ program: inout Program, _ pid: UInt32) {
        let loads = pages.loads(beforeForkBy: pid)
        if loads.isEmpty { return }
        var files = MappedFile()
        for case .beforeFork(let areas) in loads.map({ pages.loads[$0].moment }) {
            for area in areas {
                guard let mapping = image.addressSpace(area.space)?.mappings[area.mapping] else { continue }
                map(&program, mapping.early(area.range), isFilled: true, ofSpace: area.space, &files)
            }
        }
        close(&program, &files)
        let huge = loads.flatMap { HugeRanges.beforeFork(pages.loads[$0], image, facts.ownMemory, valid.options.hugePages) }
        if !huge.isEmpty {
            let own = program.call(.getpid, [])
            for range in huge { useHugePages(&program, .result(of: own), range) }
        }
        fill(&program, loads)
    }

    /// Maps the memory of a process at its final addresses and loads the saved pages.
    ///
    /// 1. Unmap inherited memory that the process does not have: its own mappings can lie at the same addresses.
    /// 2. Map everything that is not inherited. Mappings with saved pages are writable until the pages are loaded.
    /// 3. Load the pages.
    /// 4. Make guard pages, then set final protection and advice, and lock. They could make the loading of pages fail, so
    ///    they come after it.
    /// 5. Set the areas of PR_SET_MM_MAP. The kernel refuses them while mappings of crrestart are left.
    /// 6. Set what forbids changes of memory.
    mutating func loadMemory(_ program: inout Program, _ process: ImageProcess, _ space: ImageAddressSpace) {
        beginMemory(&program, space)
        let inheritance = pages.inheritance(of: space.id)
        for range in inheritance.dropped {
            program.call(.munmap, [.value(range.lowerBound), .number(range.count)], "inherited, and not of this process")
        }
        let isKept = space.mappings(in: inheritance.kept)
        let isFilled = mappingsWithPages(space, inheritance)
        var files = MappedFile()
        for (index, mapping) in space.mappings.enumerated() {
            switch mapping.kind {
            case .vdsoCode: mapVdsoProxy(&program, process, mapping)
            case .vdsoData, .asynchronousRing, .UNRECOGNIZED: continue
            case .file, .object, .anonymous:
                if inheritance.kept.isEmpty {
                    map(&program, mapping, isFilled: isFilled[index], ofSpace: space.id, &files)
                    continue
                }
                for range in AddressRanges([mapping.range]).subtracting(inheritance.kept) {
                    map(&program, mapping.clipped(to: range), isFilled: isFilled[index], ofSpace: space.id, &files)
                }
            }
        }
        close(&program, &files)
        for range in inheritance.discarded {
            program.call(
                .madvise, [.value(range.lowerBound), .number(range.count), .value(Madvise.MADV_DONTNEED)],
                "inherited pages of other processes")
        }
        for range in HugeRanges.of(space, pages, facts.ownMemory, valid.options.hugePages) { useHugePages(&program, .number(process.ownPid), range) }
        fill(&program, pages.loads(afterForkInto: space.id))
        installGuards(&program, space)
        for mapping in space.mappings where mapping.kind == .asynchronousRing {
            if let ring = space.rings.first(where: { $0.address == mapping.start }) { makeRing(&program, ring, mapping) }
        }
        let isGuarded = mappingsWithGuards(space)
        for (index, mapping) in space.mappings.enumerated() {
            nameMapping(&program, mapping)
            finish(&program, mapping, isFilled: isFilled[index], isKept: isKept[index], isGuarded: isGuarded[index])
        }
        describeAreas(&program, process, space)
        finishMemory(&program, space)
    }

    /// Opens a file of the kernel (`/proc/self/...`) at a fixed descriptor. All low descriptors are free at this time.
    mutating func open(_ program: inout Program, _ path: [UInt8], flags: UInt64, as number: UInt32) {
        let opened = program.call(
            .openat,
            [.value(At.AT_FDCWD), self.path(path), .value(flags | UInt64(OpenFlag.O_CLOEXEC | OpenFlag.O_NOCTTY)), 0],
            String(decoding: path, as: UTF8.self))
        program.call(.dup3, [.result(of: opened), .number(number), .number(OpenFlag.O_CLOEXEC)])
        program.call(.close, [.result(of: opened)])
    }

    /// Tells for each mapping whether it has saved pages or parts that were loaded before the fork, in one pass.
    private func mappingsWithPages(_ space: ImageAddressSpace, _ inheritance: PageSchedule.Inheritance) -> [Bool] {
        var result = space.mappings(in: inheritance.kept.union(inheritance.late))
        for (index, isHit) in space.mappings(of: space.runPage, space.runLength, facts.pageSize).enumerated() where isHit { result[index] = true }
        return result
    }

    /// Sets the final protection and the advice of a mapping, and locks it.
    ///
    /// - Parameter isKept: it was mapped before a fork, readable and writable.
    private func finish(_ program: inout Program, _ mapping: ImageMapping, isFilled: Bool, isKept: Bool, isGuarded: Bool) {
        var place: [Step.Argument] { [.value(mapping.start), .value(mapping.end - mapping.start)] }
        let wasMapped = isKept ? Protection.PROT_READ | Protection.PROT_WRITE : UInt64(mapping.protection) | Protection.PROT_WRITE
        if isFilled && UInt64(mapping.protection) != wasMapped {
            program.call(.mprotect, place + [.number(mapping.protection)])
        }
        if mapping.flags == 0 { return }
        for (flag, number, name) in Self.advice where mapping.has(flag) && !mapping.has(.droppable) {
            program.call(.madvise, place + [.value(number)], name)
        }
        if mapping.has(.locked) {
            // The kernel locks it, then fills it, and reports that it cannot fill guard pages and what no access is allowed to.
            let flags = mapping.has(.lockOnFault) ? Mlock.MLOCK_ONFAULT : 0
            program.call(.mlock2, place + [.value(flags)], check: isGuarded || mapping.protection == 0 ? .none : .noError, "locked")
        }
    }

    private static let advice: [(ImageMappingFlag, UInt64, String)] = [
        (.dontFork, Madvise.MADV_DONTFORK, "MADV_DONTFORK"), (.dontDump, Madvise.MADV_DONTDUMP, "MADV_DONTDUMP"),
        (.wipeOnFork, Madvise.MADV_WIPEONFORK, "MADV_WIPEONFORK"), (.hugePage, Madvise.MADV_HUGEPAGE, "MADV_HUGEPAGE"),
        (.noHugePage, Madvise.MADV_NOHUGEPAGE, "MADV_NOHUGEPAGE"), (.mergeable, Madvise.MADV_MERGEABLE, "MADV_MERGEABLE"),
        (.randomRead, Madvise.MADV_RANDOM, "MADV_RANDOM"), (.sequentialRead, Madvise.MADV_SEQUENTIAL, "MADV_SEQUENTIAL"),
    ]

    /// Sets program file, areas of arguments and environment, heap, auxiliary vector: prctl(2), PR_SET_MM_MAP.
    private mutating func describeAreas(
        _ program: inout Program, _ process: ImageProcess, _ space: ImageAddressSpace
    ) {
        if process.executable.object != 0 {
            open(&program, objectPath(process.executable.object), flags: 0, as: scratchDescriptor)
        } else {
            settle(&program, open(&program, holders.request(programOf: process), flags: 0), as: scratchDescriptor)
        }
        let vector = launchpad.add(space.auxiliaryVector.asBytes)
        // struct prctl_mm_map
        var words = [
            space.startCode, space.endCode, space.startData, space.endData, space.startBreak, space.currentBreak,
            space.startStack, space.argumentStart, space.argumentEnd, space.environmentStart, space.environmentEnd,
            vector,
        ]
        words.append(UInt64(space.auxiliaryVector.count) | UInt64(scratchDescriptor) << 32)
        let map = launchpad.add(words: words)
        program.call(
            .prctl, [.value(Prctl.PR_SET_MM), .value(Prctl.PR_SET_MM_MAP), .value(map), .number(words.count * 8), 0],
            "PR_SET_MM_MAP: program file, arguments, heap")
        program.call(.close, [.number(scratchDescriptor)])
        if process.personality != 0 { program.call(.personality, [.number(process.personality)]) }
    }
}

/// Single mappings.
extension PlanBuilder {
    /// The file of the last mapping. It stays open at the scratch descriptor, because the next mapping is often of it too.
    struct MappedFile {
        /// Of ``MappedFiles``.
        var number: Int?
    }

    private mutating func map(
        _ program: inout Program, _ mapping: ImageMapping, isFilled: Bool, ofSpace space: UInt32, _ file: inout MappedFile
    ) {
        switch mapping.kind {
        case .file:
            let number = mappedFiles.number(of: mapping, holders.rights(ofSpace: space))
            if file.number != number {
                close(&program, &file)
                let request = mappedFiles.requests[number]
                let flags = request.access.contains(.write) ? OpenFlag.O_RDWR : OpenFlag.O_RDONLY
                // A named pipe that has taken the name is refused by mmap, and does not hold the restart up.
                let opened = open(&program, request, flags: UInt64(flags) | Self.nonblock)
                settle(&program, opened, as: scratchDescriptor)
                file = MappedFile(number: number)
            }
            map(&program, mapping, isFilled: isFilled, descriptor: .number(scratchDescriptor), note: mapping.file.path.asText)
        case .object:
            let place = image.place(ofMemoryObject: mapping.object) ?? 0
            if image.memoryObjects[place].hasSegment { return attach(&program, mapping, image.memoryObjects[place].segment) }
            // A mapping that must never become writable is made through a descriptor that cannot write: a writable one would
            // keep the object from being sealed.
            let isReadOnly = mapping.shared && !mapping.has(.mayWrite)
            if isReadOnly {
                close(&program, &file)
                open(&program, Array("/proc/self/fd/\(high.object(place))".utf8), flags: 0, as: scratchDescriptor)
            }
            map(
                &program, mapping, isFilled: isFilled, descriptor: .number(isReadOnly ? scratchDescriptor : high.object(place)),
                note: "memory object \(mapping.object)")
            if isReadOnly { program.call(.close, [.number(scratchDescriptor)]) }
        default:
            map(&program, mapping, isFilled: isFilled, descriptor: nil, note: mapping.has(.growsDown) ? "stack" : "")
        }
    }

    private func close(_ program: inout Program, _ file: inout MappedFile) {
        if file.number != nil { program.call(.close, [.number(scratchDescriptor)]) }
        file = MappedFile()
    }

    private func map(
        _ program: inout Program, _ mapping: ImageMapping, isFilled: Bool, descriptor: Step.Argument?, note: @autoclosure () -> String
    ) {
        var flags = Mmap.MAP_FIXED_NOREPLACE
        var protection = UInt64(mapping.protection)
        if isFilled { protection |= Protection.PROT_WRITE }
        if mapping.has(.droppable) {
            flags |= Mmap.MAP_DROPPABLE
        } else {
            flags |= mapping.shared ? Mmap.MAP_SHARED : Mmap.MAP_PRIVATE
        }
        if descriptor == nil { flags |= Mmap.MAP_ANONYMOUS }
        if mapping.hugePageShift != 0 { flags |= Mmap.MAP_HUGETLB | UInt64(mapping.hugePageShift) << Mmap.MAP_HUGE_SHIFT }
        if mapping.has(.growsDown) { flags |= Mmap.MAP_GROWSDOWN }
        if mapping.has(.noReserve) { flags |= Mmap.MAP_NORESERVE }
        let isCounted = !mapping.shared && protection & Protection.PROT_WRITE != 0 && !mapping.has(.noReserve)
        let inParts = isCounted && !mapping.has(.growsDown) && mapping.end - mapping.start > Self.mostAtOnce
        for part in inParts ? mapping.parts(upTo: Self.mostAtOnce) : [mapping] {
            program.call(
                .mmap,
                [
                    .value(part.start), .value(part.end - part.start), .value(protection), .value(flags),
                    descriptor ?? .signed(-1), .value(part.offset),
                ], check: .equals(Int64(bitPattern: part.start)), note())
        }
    }

    /// Bytes of memory of its own that one mmap(2) asks for. The program may have asked for neighbouring mappings one after the
    /// other, which the kernel shows as one; all at once could be more than the kernel believes in.
    ///
    /// - Source: vm.overcommit_memory of proc(5), value 0.
    private static let mostAtOnce: UInt64 = 1 << 30
}

extension ImageAddressSpace {
    /// For each mapping: whether it overlaps these ranges.
    func mappings(in ranges: AddressRanges) -> [Bool] {
        let mappings = mappings
        var result = [Bool](repeating: false, count: mappings.count)
        if ranges.isEmpty { return result }
        for index in ranges.indices(of: mappings) { result[index] = true }
        return result
    }
}

extension ImageAddressSpace {
    /// For each mapping: whether some of these runs of pages lie in it, in one pass.
    ///
    /// - Parameter size: bytes of a page.
    func mappings(of firsts: [UInt64], _ lengths: [UInt64], _ size: UInt64) -> [Bool] {
        var run = 0
        return mappings.map { mapping in
            while run < firsts.count, (firsts[run] &+ lengths[run]) &* size <= mapping.start { run += 1 }
            return run < firsts.count && firsts[run] &* size < mapping.end
        }
    }
}

extension ImageMapping {
    /// What is written there can go to the file.
    var isWrittenToFile: Bool { shared && has(.mayWrite) }

    func has(_ flag: ImageMappingFlag) -> Bool { flags & 1 << UInt64(flag.rawValue) != 0 }

    /// Side by side, none longer than `length`.
    func parts(upTo length: UInt64) -> [ImageMapping] {
        stride(from: start, to: end, by: Int(length)).map { clipped(to: $0..<min($0 + length, end)) }
    }

    /// A part of this mapping. The offset is adjusted for files and memory objects; anonymous memory has none.
    func clipped(to range: Range<UInt64>) -> ImageMapping {
        if range == self.range { return self }
        var part = self
        (part.start, part.end) = (range.lowerBound, range.upperBound)
        // A region of several mappings can begin before this one.
        if kind != .anonymous { part.offset &+= range.lowerBound &- start }
        return part
    }

    /// As it is mapped before forks, for all that share its pages.
    func early(_ range: Range<UInt64>) -> ImageMapping {
        var mapping = clipped(to: range)
        mapping.protection = UInt32(Protection.PROT_READ | Protection.PROT_WRITE)
        return mapping
    }
}
