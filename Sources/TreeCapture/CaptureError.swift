package import Kernel
internal import LinuxABI
package import RestorePlan

/// Why a checkpoint did not come about. The tree runs on as before.
package struct CaptureError: Error, Sendable {
    package enum Fault: Sendable {
        /// The operation failed (exit status 1).
        case operation
        /// The tree holds what cannot be saved (exit status 4): `findings`.
        case tree
        /// The image is complete, but could not be restarted here (exit status 3): `hostFindings`. The tree goes on.
        case host
        /// The image is complete, but crcheckpoint itself does not understand it (exit status 70). The tree goes on.
        case defect
    }
    package var fault: Fault
    /// One sentence: `cannot <verb> <object>: <ERRNO> (<what helps>)`.
    package var sentence: String
    package var findings: [Finding]
    package var hostFindings: [HostFinding] = []

    package init(_ sentence: String) {
        fault = .operation
        self.sentence = sentence
        findings = []
    }

    package init(cannot what: String, _ error: SystemError, help: String) {
        self.init("cannot \(what): \(error.name) (\(help.isEmpty ? error.call : help))")
    }

    /// A call that failed for a task.
    init(cannot verb: String, task: HostPid, _ command: [UInt8]?, _ error: SystemError) {
        self.init(
            cannot: "\(verb) \(task) \(printable(command ?? []))", error,
            help: error.isGone ? "it ended meanwhile; try again" : error.call)
    }

    package init(findings: [Finding]) {
        fault = .tree
        sentence = "cannot checkpoint the tree: \(findings.count) thing\(findings.count == 1 ? "" : "s") in it cannot be saved"
        self.findings = findings
    }

    package var exitStatus: Int32 {
        switch fault {
        case .operation: 1
        case .tree: 4
        case .host: 3
        case .defect: 70
        }
    }

    /// Every finding, one line each.
    package var lines: [String] { findings.map(\.line) + hostFindings.map(\.line) }
}

/// One thing that cannot be saved: which task, what it is, and what would help. Names of commands and files are escaped:
/// it can be sent to a terminal.
package struct Finding: Sendable, Hashable {
    package var pid: HostPid
    package var command: String
    /// `fd 7`, `mapping 0x7f12...`, `task`.
    package var object: String
    package var reason: String
    package var help: String
    /// What may be found out about its other end when the tree goes on.
    package var otherEnd: OtherEnd?

    package var line: String {
        shown("\(pid) \(command): \(object): \(reason)" + (help.isEmpty ? "" : " (\(help))"))
    }
}

/// Why something cannot be saved, before it is said of which task.
struct Refusal: Codable, Sendable, Hashable {
    var reason: String
    var help = ""
    var otherEnd: OtherEnd?

    init(_ reason: String, help: String = "") {
        self.reason = reason
        self.help = help
    }
}

func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
