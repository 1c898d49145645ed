internal import CheckpointImage
internal import Kernel

/// Regular files and directories that are opened again by name.
enum NamedFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool {
        sight.status.kind == .directory || sight.status.kind == .regular && sight.isFoundByName
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        guard sight.isFoundByName, let identity = recorder.identity(of: sight) else {
            return .refused("the directory \(sight.target.shown) has been removed")
        }
        var object = ImageNamedFile()
        object.identity = identity
        return .object(.named(object))
    }
}
