internal import CheckpointImage
internal import Kernel

/// What no other kind claims: it cannot be saved.
enum UnknownFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { true }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        let name = sight.target.shown
        switch sight.status.kind {
        case .blockDevice:
            return .refused("is the block device \(name), which cannot be saved", help: "close it before the checkpoint")
        default: return .refused("is \(name), which cannot be saved yet", help: "close it before the checkpoint")
        }
    }
}
