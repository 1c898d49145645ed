internal import CheckpointImage
internal import Kernel

/// eventfd(2): a count.
extension Collector {
    func eventFile(_ file: inout ImageOpenFile, _ look: DescriptorLook) -> Bool {
        guard let state = EventFileState(look.info) else {
            return refuse(look, "is an eventfd whose count this kernel does not tell")
        }
        if state.isSemaphore == nil {
            let notice = "this kernel (before Linux 6.5) does not tell whether an eventfd is a semaphore: all are taken for counters"
            if !notices.contains(notice) { notices.append(notice) }
        }
        file.kind = .event
        file.event.count = state.count
        file.event.semaphore = state.isSemaphore ?? false
        return true
    }
}
