internal import CheckpointImage
internal import Kernel

/// eventfd(2): a count.
enum EventFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.target == "anon_inode:[eventfd]" }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        guard let state = EventFileState(sight.info.value) else {
            return .refused("is an eventfd whose count this kernel does not tell")
        }
        if state.isSemaphore == nil {
            recorder.notice("this kernel (before Linux 6.5) does not tell whether an eventfd is a semaphore: all are taken for counters")
        }
        var object = ImageEventFile()
        object.count = state.count
        object.semaphore = state.isSemaphore ?? false
        return .object(.event(object))
    }
}
