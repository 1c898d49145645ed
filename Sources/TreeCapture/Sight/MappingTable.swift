internal import Kernel

/// The mappings of an address space with what is under each: pure.
struct MappingTable {
    struct Mapping {
        var map: MemoryMap
        var path: [UInt8]
        var isDeleted: Bool
        var nature: MappingNature
        var detail: MappingSight?
        /// A device file by its name. `/dev/zero` is none: its memory is like anonymous memory.
        var isDevice = false
    }

    let all: [Mapping]

    private static let zeroDevice = deviceNumber(major: 1, minor: 5)

    /// - Parameter maps: those of `space`, or what they became.
    init(_ space: SpaceSight, _ maps: [MemoryMap], _ names: NameTable) {
        let details = Dictionary(space.details.map { ($0.start, $0) }) { first, _ in first }
        all = maps.map { map in
            let detail = details.isEmpty ? nil : details[map.start]
            let path = detail?.path?.bytes ?? map.path
            let isDeleted = detail?.isDeleted ?? map.isDeleted
            let found = isDeleted || map.inode == 0 ? nil : names[path]?.status
            let nature = MappingNature(map, isDeleted: isDeleted, found: found)
            return Mapping(
                map: map, path: path, isDeleted: isDeleted, nature: nature, detail: detail,
                isDevice: nature == .file && found?.kind != .regular && found?.specialDevice != Self.zeroDevice)
        }
    }
}

/// What names lead to, by path.
struct NameTable {
    private let places: [ByteKey: Int]
    let all: [NameSight]

    init(_ names: [NameSight]) {
        all = names
        places = Dictionary(names.indices.map { (ByteKey(names[$0].path.bytes), $0) }) { first, _ in first }
    }

    subscript(path: [UInt8]) -> NameSight? { place(of: path).map { all[$0] } }

    /// Among ``all``.
    func place(of path: [UInt8]) -> Int? { places[ByteKey(path)] }
}
