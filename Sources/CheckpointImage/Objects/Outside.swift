/// An open file that leads out of the tree. A restart uses a descriptor of crrestart in its place.
extension ImageOutsideFile: SavedObject {
    /// The value of `preferred` for an object that the terminal of crrestart replaces.
    package static let terminal: UInt32 = 3

    package var references: [ObjectReference] { terminalID == 0 ? [] : [.terminal(terminalID)] }

    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(preferred < Self.terminal || preferred == Self.terminal && terminal, .preferred)
        let isOutside = rules.records.terminals.first { $0.id == terminalID }?.outside
        try rules.require(terminalID == 0 || terminal && isOutside == true, .terminalEnds)
    }

    package func summary(in image: CheckpointImage) -> String {
        let place = preferred < Self.terminal ? "fd \(preferred)" : "the terminal"
        return "\(description_p.asText), outside of the tree: becomes \(place) of crrestart"
    }
}
