internal import CheckpointImage

extension Recorded {
    /// Holds the records against the rules of every reader, before a page is written and while the tree is whole.
    ///
    /// - Throws: a finding where a reader would refuse them. What the kernel lets a program have the format can hold, so this is a
    ///   defect; but no program is ended for it.
    func requireReadable(_ root: HostPid, _ command: String) throws(CaptureError) {
        do throws(ImageError) { _ = try CheckpointImage(validating: records) } catch {
            let finding = Finding(
                pid: root, command: command, object: "image", reason: "no reader would take it: \(error.cause)",
                help: "a defect of crcheckpoint; please report it")
            throw CaptureError(findings: [finding])
        }
    }
}
