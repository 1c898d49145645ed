internal import CheckpointImage
internal import Kernel

extension Recorder {
    mutating func recordSpaces() {
        for index in sight.spaces.indices { records.addressSpaces.append(recordSpace(index, sight.spaces[index].maps.value.maps, isFirst: true)) }
        for (index, object) in sight.objects.enumerated() {
            var record = ImageMemoryObject()
            record.id = UInt32(index + 1)
            record.name = object.name.bytes.asData
            record.size = UInt64(max(0, object.status.size))
            let isMemory =
                object.name.bytes.starts(with: "/memfd:".utf8) || object.name.bytes.starts(with: "[anon_shmem".utf8)
                || object.name == "/dev/zero"
            record.unlinkedFile = !isMemory
            record.mode = object.status.mode & 0o7777
            record.owner = object.status.owner
            record.group = object.status.group
            records.memoryObjects.append(record)
        }
    }

    /// The pages of every owner, and from where they are read. The mappings of a space to which a signal was delivered
    /// since are recorded again.
    mutating func recordPages(_ memory: MemorySight) -> [PageOrigin] {
        for changed in memory.changed {
            let index = changed.space - 1
            let current = records.addressSpaces[index].currentBreak
            records.addressSpaces[index] = recordSpace(index, changed.maps.value.maps, isFirst: false)
            records.addressSpaces[index].currentBreak = current
        }
        var origins: [PageOrigin] = []
        for (index, runs) in memory.objects.enumerated() where records.memoryObjects.indices.contains(index) {
            records.memoryObjects[index].runPage = runs.map(\.page)
            records.memoryObjects[index].runLength = runs.map(\.count)
            origins.append(PageOrigin(owner: .object(UInt32(index + 1)), source: .file(sight.objects[index].link.bytes)))
        }
        for (index, runs) in memory.spaces.enumerated() where records.addressSpaces.indices.contains(index) {
            records.addressSpaces[index].runPage = runs.map(\.page)
            records.addressSpaces[index].runLength = runs.map(\.count)
            origins.append(PageOrigin(owner: .space(UInt32(index + 1)), source: .task(sight.spaces[index].holder)))
        }
        return origins
    }

    /// - Parameter isFirst: what the mappings cannot be saved for is found now.
    private mutating func recordSpace(_ index: Int, _ maps: [MemoryMap], isFirst: Bool) -> ImageAddressSpace {
        let seen = sight.spaces[index]
        var record = ImageAddressSpace()
        record.id = UInt32(index + 1)
        record.auxiliaryVector = seen.auxiliaryVector.bytes.asData
        let owner = sight.processes.first { $0.space == index + 1 }
        let pid = owner?.pid ?? seen.holder
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
        // Appending to a field of a message would copy the list each time.
        var mappings: [ImageMapping] = []
        for mapping in MappingTable(seen, maps, names).all where mapping.nature != .kernel {
            if isFirst { check(mapping, seen, pid) }
            mappings.append(self.record(mapping, seen))
        }
        record.mappings = mappings
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
        case .file:
            record.kind = .file
            record.file = identities.identity(of: mapping.path, in: space.mountNamespace) ?? ImageFileIdentity()
        case .object:
            record.kind = .object
            record.object = UInt32(mapping.detail?.object ?? 0)
        case .kernel, .other: break
        }
        return record
    }

    private static let flagTable: [(MappingFlags, ImageMappingFlag)] = [
        (.growsDown, .growsDown), (.noReserve, .noReserve), (.locked, .locked), (.dontFork, .dontFork),
        (.dontDump, .dontDump), (.wipeOnFork, .wipeOnFork), (.hugePage, .hugePage), (.noHugePage, .noHugePage),
        (.mergeable, .mergeable), (.randomRead, .randomRead), (.sequentialRead, .sequentialRead),
        (.mayWrite, .mayWrite), (.droppable, .droppable),
    ]

    private static func imageFlags(_ flags: MappingFlags) -> UInt64 {
        var bits: UInt64 = 0
        for (flag, image) in flagTable where flags.contains(flag) { bits |= 1 << UInt64(image.rawValue) }
        return bits
    }
}
