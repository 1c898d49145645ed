internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import RestorePlan

/// Why a restart did not come about. Nothing is left of it.
package struct RestoreError: Error, Sendable {
    /// One sentence.
    package var sentence: String
    /// 1 the operation failed, 2 the image is at fault, 3 this host cannot do it.
    package var exitStatus: Int32
    /// With exit status 3: every reason.
    package var findings: [String] = []
    /// A number went to another process while the tree was made: it may be tried again.
    var isLostNumber = false

    package init(_ sentence: String, exitStatus: Int32 = 1) {
        self.sentence = sentence
        self.exitStatus = exitStatus
    }

    /// The user asked for an end before the point of no return.
    static let interrupted = RestoreError("cannot restart: EINTR (interrupted; nothing is left)")

    init(_ error: ImageError, image: String) {
        sentence = error.sentence(image: image)
        exitStatus = error.exitStatus
    }

    init(_ error: ImageInputError) {
        sentence = "\(error)"
        exitStatus = error.cause.name == "ENOENT" || error.cause.name == "EACCES" ? 1 : 2
    }

    init(_ refusal: ValidImage.Refusal) {
        let count = refusal.findings.count
        sentence = "cannot restart here: \(count) reason\(count == 1 ? "" : "s")"
        exitStatus = 3
        findings = refusal.findings.map(\.line)
    }

    init(cannot what: String, _ error: SystemError, help: String = "") {
        self.init("cannot \(what): \(error.name) (\(help.isEmpty ? error.call : help))")
    }
}
