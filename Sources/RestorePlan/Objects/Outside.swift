import CheckpointImage

/// What belonged to somebody outside of the tree: one of 0, 1, 2 of crrestart stands in.
extension ImageOpenFile {
    /// Which of them, for the descriptor `number` that leads to it.
    func standIn(for number: UInt32, _ facts: HostFacts) -> UInt32 {
        if number <= 2 { return number }
        if preferred <= 2 { return preferred }
        return UInt32(facts.terminals.firstIndex(of: true) ?? 0)
    }
}
