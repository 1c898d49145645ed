/// signalfd(2): a set of signals.
extension ImageSignalFile: SavedObject {
    package func summary(in image: CheckpointImage) -> String {
        let signals = (1...64).filter { mask & 1 << UInt64($0 - 1) != 0 }
        return "signalfd of \(signals.map(String.init).joined(separator: ", "))"
    }
}
