internal import CheckpointImage
internal import Kernel

/// signalfd(2): a set of signals. What waits to be read are the pending signals of the reader.
extension Collector {
    func signalFile(_ file: inout ImageOpenFile, _ look: DescriptorLook) -> Bool {
        guard let state = SignalFileState(look.info) else {
            return refuse(look, "is a signalfd whose signals this kernel does not tell")
        }
        file.kind = .signal
        file.signal.mask = state.mask
        return true
    }
}
