internal import CheckpointImage
internal import Kernel

/// What no other kind claims: it cannot be saved.
enum UnknownFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { true }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        let name = sight.target.shown
        switch sight.status.kind {
        case .socket: return .refused("is a socket (\(name)), which cannot be saved yet", help: "sockets are refused in this version")
        case .blockDevice: return .refused("is the block device \(name), which cannot be saved")
        case .pipe: return .refused("is the named pipe \(name), which cannot be saved yet")
        default: return .refused("is \(name), which cannot be saved yet")
        }
    }
}
