/// One end of a pty whose master the tree holds. Both ends are made together.
extension ImageTerminalEnd: SavedObject {
    package var references: [ObjectReference] { [.terminal(terminal)] }
    package var bundle: ObjectReference? { .terminal(terminal) }

    package func check(_ rules: RuleContext) throws(ImageError) {
        let isOutside = rules.records.terminals.first { $0.id == terminal }?.outside
        // A master is opened once only: each further open(2) makes another pty.
        let masters = rules.records.openFiles.count { file in
            if case .terminal(let end)? = file.object { end.terminal == terminal && end.master } else { false }
        }
        try rules.require(isOutside == false && masters <= 1, .terminalEnds)
    }

    package func summary(in image: CheckpointImage) -> String {
        guard let pty = image.terminal(terminal) else { return "terminal \(terminal)" }
        let waiting = master ? pty.output.count : pty.input.count
        return "\(master ? "master" : "slave") of /dev/pts/\(pty.number)" + (waiting == 0 ? "" : ", \(waiting) bytes to be read")
    }
}
