internal import LinuxABI

/// One reason why this host cannot run the image.
package struct HostFinding: Sendable, Hashable {
    package var object: String
    package var reason: String
    package var help: String

    package init(object: String, reason: String, help: String) {
        self.object = object
        self.reason = reason
        self.help = help
    }

    package var line: String { "\(object): \(reason)" + (help.isEmpty ? "" : " (\(help))") }
}

/// All reasons, each once, in the order in which they were found.
package struct HostFindings: Sendable {
    package private(set) var all: [HostFinding] = []
    /// What the user should know of a restart that is possible.
    package private(set) var notes: [HostFinding] = []
    private var seen: Set<HostFinding> = []

    package mutating func find(_ object: String, _ reason: String, help: String = "") {
        let finding = HostFinding(object: shown(object), reason: shown(reason), help: shown(help))
        if seen.insert(finding).inserted { all.append(finding) }
    }

    package mutating func note(_ object: String, _ reason: String, help: String = "") {
        let note = HostFinding(object: shown(object), reason: shown(reason), help: shown(help))
        if seen.insert(note).inserted { notes.append(note) }
    }
}
