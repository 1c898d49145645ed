internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension Recorder {
    mutating func recordSpaces() {
        let owners = spaceOwners
        let recorder = self
        let made = concurrentMap(sight.spaces.count) { index in
            let table = recorder.table(of: index, recorder.sight.spaces[index].maps)
            return (record: recorder.space(index, table, of: owners[index + 1]), table: table)
        }
        for (index, one) in made.enumerated() {
            let (space, owner) = (sight.spaces[index], owners[index + 1])
            for mapping in one.table.all where mapping.nature != .kernel { check(mapping, space, owner?.pid ?? space.holder) }
            checkRoom(space, owner)
            records.addressSpaces.append(one.record)
            tables.append(one.table)
        }
        for (index, object) in sight.objects.enumerated() {
            if object.hugePageSize != nil && SharedSegment.isSegment(object.name.bytes) {
                find(holder(of: object), object.name.shown, Self.segmentFromThePool, help: Self.insteadOfThePool)
            }
            var record = ImageMemoryObject()
            record.id = UInt32(index + 1)
            record.name = object.name.bytes.asData
            record.size = UInt64(max(0, object.status.size))
            record.unlinkedFile = !object.isMemory
            record.hugePageShift = object.hugePageSize.map { UInt32($0.trailingZeroBitCount) } ?? 0
            record.mode = object.status.mode & 0o7777
            record.owner = object.status.owner
            record.group = object.status.group
            record.modified = object.status.modificationTime
            record.accessed = object.status.accessTime ?? object.status.modificationTime
            if let segment = SharedSegment.segment(of: object, in: sight) {
                record.segment = segment
                record.unlinkedFile = false
            }
            records.memoryObjects.append(record)
        }
        checkSegments()
    }

    /// What a process told of its memory as a whole.
    mutating func record(_ memory: MemoryAnswers, of space: Int) {
        records.addressSpaces[space - 1].locksToCome = memory.locksToCome
        records.addressSpaces[space - 1].writeExecute = memory.writeExecute
        records.addressSpaces[space - 1].hugePagesDisabled = memory.hugePagesDisabled
        records.addressSpaces[space - 1].mergesPages = memory.mergesPages
    }

    /// The pages of every owner, and from where they are read. The mappings of a space to which a signal was delivered
    /// since are recorded again.
    mutating func recordPages(_ memory: MemorySight) -> [PageOrigin] {
        let owners = memory.changed.isEmpty ? [:] : spaceOwners
        for changed in memory.changed {
            let index = changed.space - 1
            let table = table(of: index, changed.maps)
            records.addressSpaces[index].mappings = space(index, table, of: owners[changed.space]).mappings
        }
        var origins: [PageOrigin] = []
        for (index, runs) in memory.objects.enumerated() where records.memoryObjects.indices.contains(index) {
            records.memoryObjects[index].runPage = runs.map(\.page)
            records.memoryObjects[index].runLength = runs.map(\.count)
            if let seals = memory.seals, seals.indices.contains(index) { records.memoryObjects[index].seals = seals[index] }
            if let attributes = memory.attributes, attributes.indices.contains(index) { record(attributes[index], ofObject: index) }
            origins.append(PageOrigin(owner: .object(UInt32(index + 1)), source: .file(sight.objects[index].link.bytes)))
        }
        origins += recordSharedPages(memory.shared ?? [])
        for (index, runs) in memory.spaces.enumerated() where records.addressSpaces.indices.contains(index) {
            records.addressSpaces[index].runPage = runs.map(\.page)
            records.addressSpaces[index].runLength = runs.map(\.count)
            origins.append(PageOrigin(owner: .space(UInt32(index + 1)), source: .task(sight.spaces[index].holder)))
        }
        for (index, runs) in (memory.guards ?? []).enumerated() where records.addressSpaces.indices.contains(index) {
            records.addressSpaces[index].guardPage = runs.map(\.page)
            records.addressSpaces[index].guardLength = runs.map(\.count)
        }
        for (index, words) in (memory.robustWords ?? []).enumerated() where records.addressSpaces.indices.contains(index) {
            records.addressSpaces[index].robustWords = words.map { seen in
                var word = ImageRobustWord()
                word.address = seen.address
                word.value = seen.value
                return word
            }
        }
        return origins
    }

    private mutating func recordSharedPages(_ sets: [MemorySight.SharedSet]) -> [PageOrigin] {
        var origins: [PageOrigin] = []
        for (index, set) in sets.enumerated() {
            var record = ImageSharedPages()
            record.id = UInt32(index + 1)
            record.runPage = set.runs.map(\.page)
            record.runLength = set.runs.map(\.count)
            record.holders = set.holders.map { seen in
                var holder = ImagePageHolder()
                holder.addressSpace = UInt32(seen.space)
                holder.runPage = seen.runs.map(\.page)
                holder.runLength = seen.runs.map(\.count)
                return holder
            }
            records.sharedPages.append(record)
            var parts: [PageOrigin.TaskRuns] = []
            for (run, space) in set.sources.enumerated() {
                let task = sight.spaces[space - 1].holder
                if let last = parts.last, last.task == task {
                    parts[parts.count - 1].runs = last.runs.lowerBound..<run + 1
                } else {
                    parts.append(PageOrigin.TaskRuns(task: task, runs: run..<run + 1))
                }
            }
            origins.append(PageOrigin(owner: .shared(record.id), source: .tasks(parts)))
        }
        return origins
    }

    /// The process through whose link an object is opened.
    private func holder(of object: ObjectSight) -> HostPid {
        let parts = object.link.bytes.split(separator: UInt8(ascii: "/"))
        return parts.count > 1 ? Int32(String(decoding: parts[1], as: UTF8.self)).map { HostPid($0) } ?? sight.root : sight.root
    }

    /// By space: the first process with it.
    private var spaceOwners: [Int: ProcessSight] {
        Dictionary(sight.processes.map { ($0.space, $0) }) { first, _ in first }
    }

    private mutating func record(_ attributes: [FileAttribute], ofObject index: Int) {
        records.memoryObjects[index].attributes = attributes.filter { ImageFileAttribute.isPlain($0.name) }.map { attribute in
            var record = ImageFileAttribute()
            record.name = attribute.name.asData
            record.value = attribute.value.asData
            return record
        }
        for attribute in attributes where FileAttribute.isPrivileged(attribute.name) {
            notice("\(sight.objects[index].name.shown) has the extended attribute \(printable(attribute.name)), which is not saved: it would give the restarted file rights")
        }
    }

    private func table(of index: Int, _ maps: Seen<Smaps>) -> MappingTable { MappingTable(sight.spaces[index], maps.value.maps, names) }

    private func space(_ index: Int, _ table: MappingTable, of owner: ProcessSight?) -> ImageAddressSpace {
        let seen = sight.spaces[index]
        var record = ImageAddressSpace()
        record.id = UInt32(index + 1)
        record.auxiliaryVector = seen.auxiliaryVector.bytes.asData
        if let owner {
            let stat = owner.stat(of: owner.door)
            record.startCode = stat.codeStart
            record.endCode = stat.codeEnd
            record.startData = stat.dataStart
            record.endData = stat.dataEnd
            record.startBreak = stat.breakStart
            record.startStack = stat.stackStart
            record.argumentStart = stat.argumentStart
            record.argumentEnd = stat.argumentEnd
            record.environmentStart = stat.environmentStart
            record.environmentEnd = stat.environmentEnd
        }
        record.is32Bit = seen.is32Bit
        if let filter = seen.coreFilter { record.coreFilter = filter }
        // Appending to a field of a message would copy the list each time.
        record.mappings = table.all.filter { $0.nature != .kernel }.map { self.record($0, seen) }
        record.rings = (seen.rings ?? []).map { seen in
            var ring = ImageAsynchronousRing()
            ring.address = seen.address
            ring.requests = seen.requests
            ring.head = seen.head
            ring.tail = seen.tail
            ring.unread = seen.unread.bytes.asData
            return ring
        }
        return record
    }

    private func record(_ mapping: MappingTable.Mapping, _ space: SpaceSight) -> ImageMapping {
        let map = mapping.map
        var record = ImageMapping()
        record.start = map.start
        record.end = map.end
        record.protection = map.protection.rawValue & 7
        record.shared = map.isShared
        record.flags = Self.imageFlags(map.flags)
        record.offset = map.offset
        switch mapping.nature {
        case .vdsoData, .vdsoCode:
            record.kind = mapping.nature == .vdsoCode ? .vdsoCode : .vdsoData
            record.offset = 0
            record.flags = 0
        case .anonymous:
            record.kind = .anonymous
            record.offset = 0
            if map.flags.contains(.hugeTLB) { record.hugePageShift = UInt32(map.pageSize.trailingZeroBitCount) }
            record.name = Self.givenName(map.path).asData
        case .file:
            record.kind = .file
            record.file = identities.identity(of: mapping.path, in: space.mountNamespace) ?? ImageFileIdentity()
        case .object:
            record.kind = .object
            record.object = UInt32(mapping.detail?.object ?? 0)
        case .other where map.kernelMemory == .asynchronousRing:
            record.kind = .asynchronousRing
            record.offset = 0
        case .kernel, .other: break
        }
        return record
    }

    private static let flagTable: [(MappingFlags, ImageMappingFlag)] = [
        (.growsDown, .growsDown), (.noReserve, .noReserve), (.locked, .locked), (.dontFork, .dontFork),
        (.dontDump, .dontDump), (.wipeOnFork, .wipeOnFork), (.hugePage, .hugePage), (.noHugePage, .noHugePage),
        (.mergeable, .mergeable), (.randomRead, .randomRead), (.sequentialRead, .sequentialRead),
        (.mayWrite, .mayWrite), (.droppable, .droppable), (.lockOnFault, .lockOnFault), (.sealed, .sealed),
    ]
    /// Flags that need no place in the image. A test demands that each flag is in one of these tables, or in that of
    /// ``refusedFlags``.
    ///
    /// - Protection, sharing, and what follows from them and from the file: rd wr ex sh mr me ms ar sd; `ac` from nr.
    /// - `de`: of rings and devices, which are refused by their names, and of memory from the pool of huge pages. `ht`: of that the size of its
    ///   pages is saved. `gu`: guard pages are looked for themselves.
    /// - `dw`, `nl`, `mp`, `bt`, `mt`: of older kernels and other architectures; the last two are refused there.
    static let impliedFlags: MappingFlags = [
        .readable, .writable, .executable, .shared, .mayRead, .mayExecute, .mayShare, .architecture, .softDirty, .accounted,
        .dontExpand, .hugeTLB, .mayHoldGuards, .denyWrite, .nonLinear, .boundsTable,
    ]
    static var savedFlags: MappingFlags { flagTable.reduce([]) { $0.union($1.0) } }

    /// The text that PR_SET_VMA_ANON_NAME gave to memory; nothing for other names.
    private static func givenName(_ path: [UInt8]) -> [UInt8] {
        let prefix = Array("[anon:".utf8)
        guard path.starts(with: prefix), path.last == UInt8(ascii: "]") else { return [] }
        return Array(path.dropFirst(prefix.count).dropLast())
    }

    private static func imageFlags(_ flags: MappingFlags) -> UInt64 {
        var bits: UInt64 = 0
        for (flag, image) in flagTable where flags.contains(flag) { bits |= 1 << UInt64(image.rawValue) }
        return bits
    }
}
