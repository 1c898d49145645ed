internal import CheckpointImage
internal import Kernel

/// Regular files that have no name any more, or never had one (memfd_create(2)): saved with their contents.
///
/// Details: `object`, the place of the memory object.
enum NamelessFile: DescriptorCapture {
    private static let memory = Array("/memfd:".utf8)

    static func claims(_ sight: OpenFileSight) -> Bool { sight.status.kind == .regular && !sight.isFoundByName }

    private static func wasMoved(_ sight: OpenFileSight) -> Bool {
        sight.status.linkCount > 0 && !sight.target.bytes.starts(with: memory)
    }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        for index in sights.indices where !wasMoved(sights[index]) {
            let sight = sights[index]
            let place = tree.object(at: "/proc/\(sight.holder)/fd/\(sight.number)", name: sight.target.bytes, sight.status)
            sights[index][number: "object"] = UInt64(place)
        }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        guard let place = sight[number: "object"] else {
            return .refused("the file \(sight.target.shown) cannot be found by its name any more", help: "it was moved; move it back")
        }
        var object = ImageNamelessFile()
        object.object = UInt32(truncatingIfNeeded: place)
        return .object(.nameless(object))
    }
}
