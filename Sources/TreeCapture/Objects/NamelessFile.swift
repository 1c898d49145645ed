internal import CheckpointImage
internal import Kernel

/// Regular files that have no name any more, or never had one (memfd_create(2)): saved with their contents.
///
/// Details: `object`, the place of the memory object.
enum NamelessFile: DescriptorCapture {
    private static let memory = Array("/memfd:".utf8)

    static func claims(_ sight: OpenFileSight) -> Bool { sight.status.kind == .regular && !sight.isFoundByName }

    private static func wasMoved(_ sight: OpenFileSight) -> Bool {
        sight.status.linkCount > 0 && sight.details["silly"] == nil && !sight.target.bytes.starts(with: memory)
    }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        for index in sights.indices {
            let sight = sights[index]
            if wasMoved(sight) {
                sights[index].lookForMount()
                continue
            }
            let place = tree.object(at: "/proc/\(sight.holder)/fd/\(sight.number)", name: sight.target.bytes, sight.status)
            sights[index][number: "object"] = UInt64(place)
        }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        guard let place = sight[number: "object"] else { return NamedFile.lost(sight, recorder) }
        var object = ImageNamelessFile()
        object.object = UInt32(truncatingIfNeeded: place)
        return .object(.nameless(object))
    }
}
