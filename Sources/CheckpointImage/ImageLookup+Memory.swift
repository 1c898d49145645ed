extension ImageLookup {
    mutating func validate(_ space: ImageAddressSpace, userEnd: UInt64) throws(ImageError) {
        let subject = { "address space \(space.id)" }
        try require(
            space.mappings.count <= ImageLimits.mappingsOfOneSpace, .tooMany, "mappings of \(subject())")
        var end: UInt64 = 0
        for mapping in space.mappings {
            try validate(mapping, after: end, userEnd: userEnd, of: space.id)
            end = mapping.end
        }
        let areas = [
            (space.startCode, space.endCode), (space.startData, space.endData),
            (space.startBreak, space.currentBreak), (space.argumentStart, space.argumentEnd),
            (space.environmentStart, space.environmentEnd), (space.startStack, space.startStack),
        ]
        for (start, end) in areas {
            try require(start <= end, .areaOrder, subject())
            try require(end <= userEnd, .address, subject())
        }
        let vector = space.auxiliaryVector.count
        try require(vector <= 4096 && vector % 8 == 0, .auxiliaryVector, subject())
        let pages = try validateRuns(space.runPage, space.runLength, end: userEnd / 4096, subject())
        try requireCovered(space.runPage, space.runLength, by: space.mappings.filter { !$0.shared && $0.kind != .vdsoData }, subject())
        try validateWhole(space, userEnd: userEnd, subject())
        try validateRings(space, subject())
        self.pages[PageOwner(.addressSpace, space.id)] = pages
    }

    /// What holds for the whole space, and what lies in any kind of mapping.
    private func validateWhole(
        _ space: ImageAddressSpace, userEnd: UInt64, _ subject: @autoclosure () -> String
    ) throws(ImageError) {
        _ = try validateRuns(space.guardPage, space.guardLength, end: userEnd / 4096, subject())
        try requireCovered(space.guardPage, space.guardLength, by: space.mappings.filter { $0.kind != .vdsoData }, subject())
        try require(space.locksToCome & ~6 == 0 && space.locksToCome != 4, .memoryAttributes, subject())
        try require(space.writeExecute <= 3 && space.writeExecute != 2, .memoryAttributes, subject())
        try require(space.hugePagesDisabled <= 3 && space.hugePagesDisabled != 2, .memoryAttributes, subject())
        for word in space.robustWords {
            try require(word.address % 4 == 0 && word.address < userEnd, .address, subject())
        }
    }

    private func validateRings(_ space: ImageAddressSpace, _ subject: @autoclosure () -> String) throws(ImageError) {
        let mappings = space.mappings.filter { $0.kind == .asynchronousRing }
        try require(mappings.map(\.start) == space.rings.map(\.address), .asynchronousRing, subject())
        for (mapping, ring) in zip(mappings, space.rings) {
            try require(
                mapping.shared && mapping.protection == 3 && mapping.end - mapping.start <= ImageLimits.asynchronousRing,
                .asynchronousRing, subject())
            let events = mapping.ringEvents
            try require(ring.requests > 0 && UInt64(ring.requests) <= events, .asynchronousRing, subject())
            try require(UInt64(ring.head) < events && UInt64(ring.tail) < events, .asynchronousRing, subject())
            let unread = (UInt64(ring.tail) + events - UInt64(ring.head)) % events
            try require(UInt64(ring.unread.count) == unread * 32 && unread <= events / 2, .asynchronousRing, subject())
        }
    }

    mutating func validate(_ object: ImageMemoryObject) throws(ImageError) {
        let subject = { "memory object \(object.id)" }
        try require(object.size <= ImageLimits.objectSize, .objectSize, subject())
        try require(!object.name.contains(0), .pathWithZero, subject())
        try require(object.seals < 64, .seals, subject())
        if object.hugePageShift != 0 {
            try require(ImageLimits.hugePageShifts.contains(object.hugePageShift), .hugePages, subject())
            try require(object.size % (1 << UInt64(object.hugePageShift)) == 0 && !object.unlinkedFile && !object.hasSegment, .hugePages, subject())
        }
        for attribute in object.attributes {
            let (name, value) = (attribute.name, attribute.value)
            try require(ImageFileAttribute.isPlain(name) && !name.contains(0), .fileAttribute, subject())
            try require(name.count <= ImageLimits.attributeName && value.count <= ImageLimits.attributeValue, .fileAttribute, subject())
        }
        let pages = try validateRuns(
            object.runPage, object.runLength, end: (object.size + 4095) / 4096, subject())
        self.pages[PageOwner(.memoryObject, object.id)] = pages
    }

    private func validate(
        _ mapping: ImageMapping, after end: UInt64, userEnd: UInt64, of space: UInt32
    ) throws(ImageError) {
        let subject = { "mapping \(hex(mapping.start)) of address space \(space)" }
        try require(mapping.start < mapping.end, .mappingEmpty, subject())
        try require((mapping.start | mapping.end) % 4096 == 0, .mappingAlignment, subject())
        try require(mapping.start >= end, .mappingOrder, subject())
        try require(mapping.end <= userEnd, .mappingBeyond, subject())
        try require(mapping.protection <= 7, .protection, subject())
        let flags = UInt64(1) << UInt64(ImageMappingFlag.allCases.count)
        try require(mapping.flags < flags, .mappingFlags, subject())
        try require(!mapping.name.contains(0) && mapping.name.count < 80, .mappingName, subject())
        try requirePool(mapping, subject())
        let offsets = UInt64(Int64.max) - (mapping.end - mapping.start)
        switch mapping.kind {
        case .anonymous, .vdsoData, .vdsoCode, .asynchronousRing: break
        case .file:
            try requireFile(mapping.file, subject())
            try require(mapping.offset % 4096 == 0 && mapping.offset <= offsets, .mappingOffset, subject())
        case .object:
            try require(memoryObject[mapping.object] != nil, .noMemoryObject, subject())
            try require(mapping.offset % 4096 == 0 && mapping.offset <= offsets, .mappingOffset, subject())
        case .UNRECOGNIZED: throw .rule(.mappingKind, subject())
        }
    }

    /// What comes from the pool of huge pages has whole ones.
    private func requirePool(_ mapping: ImageMapping, _ subject: @autoclosure () -> String) throws(ImageError) {
        var shift = mapping.hugePageShift
        if shift != 0 { try require(mapping.kind == .anonymous && !mapping.shared && ImageLimits.hugePageShifts.contains(shift), .hugePages, subject()) }
        if mapping.kind == .object, let ofObject = hugePageShifts[mapping.object] { shift = ofObject }
        guard shift != 0 else { return }
        try require((mapping.start | mapping.end | (mapping.kind == .object ? mapping.offset : 0)) % (1 << UInt64(shift)) == 0, .hugePages, subject())
    }

    /// Runs are ascending, disjoint, not empty and below page number `end`.
    ///
    /// - Returns: the number of their pages.
    func validateRuns(
        _ firsts: [UInt64], _ lengths: [UInt64], end: UInt64, _ subject: @autoclosure () -> String
    ) throws(ImageError) -> UInt64 {
        try require(firsts.count == lengths.count, .runCounts, subject())
        var next: UInt64 = 0
        var pages: UInt64 = 0
        for index in firsts.indices {
            let first = firsts[index]
            let length = lengths[index]
            try require(length > 0, .runEmpty, subject())
            try require(first >= next, .runOrder, subject())
            try require(first < end && length <= end - first, .runOutside, subject())
            next = first + length
            pages += length
        }
        return pages
    }

    /// Every run lies within some of the mappings that follow each other without a hole.
    func requireCovered(
        _ firsts: [UInt64], _ lengths: [UInt64], by mappings: [ImageMapping], _ subject: @autoclosure () -> String
    ) throws(ImageError) {
        if firsts.isEmpty { return }
        var mappings = mappings.lazy.map { $0.start / 4096..<$0.end / 4096 }.makeIterator()
        var covered: Range<UInt64> = 0..<0
        var following = mappings.next()
        for index in firsts.indices {
            let first = firsts[index]
            let end = first + lengths[index]
            while covered.upperBound < end, let next = following {
                covered = next.lowerBound == covered.upperBound ? covered.lowerBound..<next.upperBound : next
                following = mappings.next()
            }
            try require(covered.lowerBound <= first && end <= covered.upperBound, .runOutside, subject())
        }
    }
}

extension ImageMapping {
    /// Events for which a ring of io_setup(2) has room: 32 bytes each, behind a header of as many.
    ///
    /// - Source: fs/aio.c, `aio_setup_ring`.
    package var ringEvents: UInt64 { (end - start) / 32 - 1 }
}

extension ImageFileAttribute {
    /// Whether the owner of a file may set an extended attribute: those of the user, and the access control list. The image has no others.
    ///
    /// - Source: xattr(7).
    package static func isPlain(_ name: some Sequence<UInt8>) -> Bool {
        name.starts(with: "user.".utf8) || name.elementsEqual("system.posix_acl_access".utf8)
    }
}
