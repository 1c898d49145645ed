internal import CheckpointImage
internal import Kernel

/// signalfd(2): a set of signals. What waits to be read are the pending signals of the reader.
enum SignalFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.target == "anon_inode:[signalfd]" }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        guard let state = SignalFileState(sight.info.value) else {
            return .refused("is a signalfd whose signals this kernel does not tell")
        }
        var object = ImageSignalFile()
        object.mask = state.mask
        return .object(.signal(object))
    }
}
