import CheckpointImage
import LinuxABI
import StepProgram

/// Open files that lead out of the tree.
///
/// Descriptor 0, 1 or 2 of crrestart replaces a file that the program had as one of these, at all of its descriptors. A
/// terminal that the program had at other descriptors only is an open file of its own: the terminal of crrestart is
/// opened anew for it, so that they share no more than before. Where that cannot be, the terminal's descriptor stands in.
enum OutsidePlan: ObjectPlan {
    static func standIn(_ state: ImageOutsideFile, for number: UInt32, _ facts: HostFacts) -> UInt32? {
        if state.preferred < ImageOutsideFile.terminal { return number <= 2 ? number : state.preferred }
        return facts.terminalOpensAnew ? nil : facts.terminal ?? 0
    }

    static func check(_ file: PlannedFile<ImageOutsideFile>, _ host: ObjectHost, _ findings: inout HostFindings) {
        if host.facts.terminal != nil { return }
        if let terminal = host.image.terminal(file.state.terminalID), isFullScreen(terminal), isFirst(file, host.image) {
            return findings.find(
                file.state.description_p.asText,
                "a program reads single keys from this terminal (an editor, for instance), and crrestart has none",
                help: "start crrestart in a terminal, or give it one: script -qec \"crrestart IMAGE\" /dev/null")
        }
        guard file.state.preferred == ImageOutsideFile.terminal else { return }
        findings.find(
            file.state.description_p.asText, "\(host.place(of: file.file)) is a terminal, and crrestart has none",
            help: "start crrestart in a terminal, or give it one: script -qec \"crrestart IMAGE\" /dev/null")
    }

    /// Keys arrive one by one (ICANON is off) at a program of the tree.
    private static func isFullScreen(_ terminal: ImageTerminal) -> Bool {
        let bytes = terminal.settings.asBytes
        return bytes.count > 12 && UInt32(bytes[12]) & TerminalFlags.ICANON == 0
    }

    private static func isFirst(_ file: PlannedFile<ImageOutsideFile>, _ image: CheckpointImage) -> Bool {
        let first = image.openFiles.first { if case .outside(let one)? = $0.object { one.terminalID == file.state.terminalID } else { false } }
        return first?.id == file.file.id
    }

    static func make(_ bundle: [PlannedFile<ImageOutsideFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle {
            let terminal = builder.high.standard(builder.facts.terminal ?? 0)
            let flags = file.file.flags & (OpenFlag.O_ACCMODE | OpenFlag.O_NONBLOCK | OpenFlag.O_APPEND)
            builder.open(&program, Array("/proc/self/fd/\(terminal)".utf8), flags: UInt64(flags), as: file.number)
        }
    }

    static func notice(_ state: ImageOutsideFile) -> String? {
        let place = state.preferred < ImageOutsideFile.terminal ? "descriptor \(state.preferred)" : "terminal"
        return "\(state.description_p.asText) lay outside of the tree: the \(place) of crrestart stands in"
    }
}
