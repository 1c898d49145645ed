import CheckpointImage
import StepProgram

extension PlanBuilder {
    private static let mapFixedNoReplace: UInt64 = 0x100000

    /// Maps everything at its final place, reads the saved pages, and closes what was opened for it.
    ///
    /// A mapping that pages are read into is writable until they are there. The areas of PR_SET_MM_MAP come
    /// after the old program has gone with all its mappings: the kernel refuses it before.
    mutating func loadMemory(_ program: inout Program, _ process: ImageProcess, _ space: ImageAddressSpace) {
        let filled = mappingsWithPages(space)
        var openPath: [UInt8]?
        var openForWriting = false
        for (index, mapping) in space.mappings.enumerated() {
            switch mapping.kind {
            case .vdsoCode: mapVdsoProxy(&program, process, mapping)
            case .vdsoData, .UNRECOGNIZED: continue
            case .file:
                let forWriting = mapping.shared && mapping.has(.mayWrite)
                let path = mapping.file.path.asBytes
                if openPath != path || openForWriting != forWriting {
                    if openPath != nil { program.call(.close, [.number(scratchDescriptor)]) }
                    open(&program, path, flags: forWriting ? 2 : 0, as: scratchDescriptor)
                    openPath = path
                    openForWriting = forWriting
                }
                map(&program, mapping, filled: filled[index], descriptor: .number(scratchDescriptor))
            case .object:
                let place = image.memoryObjects.firstIndex { $0.id == mapping.object } ?? 0
                map(&program, mapping, filled: filled[index], descriptor: .number(high.object(place)))
            case .anonymous:
                map(&program, mapping, filled: filled[index], descriptor: nil)
            }
        }
        if openPath != nil { program.call(.close, [.number(scratchDescriptor)]) }
        if valid.options.isStream {
            program.advance(word(.mapped), "memory is mapped")
            program.wait(for: word(.pages), toReach: 1, "until its pages have come")
        } else {
            readPages(&program, space)
        }
        for (index, mapping) in space.mappings.enumerated() { finish(&program, mapping, filled: filled[index]) }
        describeAreas(&program, process, space)
    }

    /// Opens a file by name at a fixed number. All low numbers are free at this time.
    mutating func open(_ program: inout Program, _ path: [UInt8], flags: UInt64, as number: UInt32) {
        let cloexec: UInt64 = 0o2000000
        let opened = program.call(
            .openat, [.signed(-100), self.path(path), .value(flags | cloexec | 0o400), 0],
            String(decoding: path, as: UTF8.self))
        program.call(.dup3, [.result(of: opened), .number(number), .value(cloexec)])
        program.call(.close, [.result(of: opened)])
    }

    /// Which mappings hold saved pages.
    private func mappingsWithPages(_ space: ImageAddressSpace) -> [Bool] {
        var result = [Bool](repeating: false, count: space.mappings.count)
        var run = 0
        let page = facts.pageSize
        for (index, mapping) in space.mappings.enumerated() {
            while run < space.runPage.count,
                (space.runPage[run] &+ space.runLength[run]) &* page <= mapping.start
            {
                run += 1
            }
            if run < space.runPage.count && space.runPage[run] &* page < mapping.end { result[index] = true }
        }
        return result
    }

    private mutating func map(
        _ program: inout Program, _ mapping: ImageMapping, filled: Bool, descriptor: Step.Argument?
    ) {
        var flags = Self.mapFixedNoReplace
        var protection = UInt64(mapping.protection)
        if filled { protection |= 2 }
        if mapping.has(.droppable) {
            flags |= 0x8
        } else {
            flags |= mapping.shared ? 1 : 2
        }
        if descriptor == nil { flags |= 0x20 }
        if mapping.has(.growsDown) { flags |= 0x100 }
        if mapping.has(.noReserve) { flags |= 0x4000 }
        program.call(
            .mmap,
            [
                .value(mapping.start), .value(mapping.end - mapping.start), .value(protection), .value(flags),
                descriptor ?? .signed(-1), .value(mapping.offset),
            ], check: .equals(Int64(bitPattern: mapping.start)), note(mapping))
    }

    private func note(_ mapping: ImageMapping) -> String {
        switch mapping.kind {
        case .file: mapping.file.path.asText
        case .object: "memory object \(mapping.object)"
        default: mapping.has(.growsDown) ? "stack" : ""
        }
    }

    /// Reads the pages of this address space straight from the image.
    private mutating func readPages(_ program: inout Program, _ space: ImageAddressSpace) {
        guard let section = image.pageSection(of: PageOwner(.addressSpace, space.id)) else { return }
        let page = facts.pageSize
        var vectors: [UInt64] = []
        var total: UInt64 = 0
        var offset = section.offset
        let most: UInt64 = 1 << 30
        func flush(_ builder: inout PlanBuilder) {
            guard total > 0 else { return }
            let address = builder.launchpad.add(words: vectors)
            program.call(
                .preadv,
                [.number(builder.high.image), .value(address), .number(vectors.count / 2), .value(offset), 0],
                check: .equals(Int64(total)), "\(byteCount(total)) from the image")
            offset += total
            total = 0
            vectors.removeAll(keepingCapacity: true)
        }
        for (first, count) in zip(space.runPage, space.runLength) {
            var start = first * page
            var left = count * page
            while left > 0 {
                let part = min(left, most - total)
                vectors += [start, part]
                total += part
                start += part
                left -= part
                if total == most || vectors.count == 2048 { flush(&self) }
            }
        }
        flush(&self)
    }

    /// What a mapping has besides its place: final protection and advice.
    private func finish(_ program: inout Program, _ mapping: ImageMapping, filled: Bool) {
        let place: [Step.Argument] = [.value(mapping.start), .value(mapping.end - mapping.start)]
        if filled && mapping.protection & 2 == 0 {
            program.call(.mprotect, place + [.number(mapping.protection)])
        }
        let advice: [(ImageMappingFlag, UInt64, String)] = [
            (.dontFork, 10, "MADV_DONTFORK"), (.dontDump, 16, "MADV_DONTDUMP"), (.wipeOnFork, 18, "MADV_WIPEONFORK"),
            (.hugePage, 14, "MADV_HUGEPAGE"), (.noHugePage, 15, "MADV_NOHUGEPAGE"), (.mergeable, 12, "MADV_MERGEABLE"),
            (.randomRead, 1, "MADV_RANDOM"), (.sequentialRead, 2, "MADV_SEQUENTIAL"),
        ]
        for (flag, number, name) in advice where mapping.has(flag) && !mapping.has(.droppable) {
            program.call(.madvise, place + [.value(number)], name)
        }
        if mapping.has(.locked) { program.call(.mlock2, place + [0], "locked") }
    }

    /// Program file, areas of arguments and environment, heap, auxiliary vector: prctl(2), PR_SET_MM_MAP.
    private mutating func describeAreas(
        _ program: inout Program, _ process: ImageProcess, _ space: ImageAddressSpace
    ) {
        open(&program, process.executable.path.asBytes, flags: 0, as: scratchDescriptor)
        let vector = launchpad.add(space.auxiliaryVector.asBytes)
        var words = [
            space.startCode, space.endCode, space.startData, space.endData, space.startBreak, space.currentBreak,
            space.startStack, space.argumentStart, space.argumentEnd, space.environmentStart, space.environmentEnd,
            vector,
        ]
        words.append(UInt64(space.auxiliaryVector.count) | UInt64(scratchDescriptor) << 32)
        let map = launchpad.add(words: words)
        program.call(.prctl, [35, 14, .value(map), 104, 0], "PR_SET_MM_MAP: program file, arguments, heap")
        program.call(.close, [.number(scratchDescriptor)])
        if process.personality != 0 { program.call(.personality, [.number(process.personality)]) }
    }
}

extension ImageMapping {
    func has(_ flag: ImageMappingFlag) -> Bool { flags & 1 << UInt64(flag.rawValue) != 0 }
}
