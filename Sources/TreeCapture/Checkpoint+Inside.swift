internal import Kernel
internal import LinuxABI

extension Checkpoint {
    /// Refuses what crcheckpoint cannot do from inside of the tree. Called before anything is stopped.
    func checkInside(_ root: String) throws(CaptureError) {
        guard let checkpointer else { return }
        func refuse(_ reason: String) -> CaptureError { CaptureError("cannot checkpoint \(root) from inside of its tree: \(reason)") }
        let below = ((try? ProcessTree().entries(below: checkpointer)) ?? []).dropFirst()
        if let child = below.first {
            throw refuse(
                "EINVAL (crcheckpoint has become the parent of \(child.pid) \(printable(child.stat.comm)), which would lose it in the image: start crcheckpoint as a process of its own, without process substitution)")
        }
        if options.tracks { throw refuse("EINVAL (--track leaves a process behind, which would be one of the tree: start crcheckpoint from outside)") }
        if options.hold != nil { throw refuse("EINVAL (--hold waits for an order that a process of the tree could not give: start crcheckpoint from outside)") }
    }

    /// Refuses a pipe that the tree itself would have to read meanwhile.
    func checkReader() throws(CaptureError) {
        guard let checkpointer, options.output == nil, let link = try? descriptorTarget(of: checkpointer, 1), link.starts(with: "pipe:".utf8) else { return }
        for entry in (try? ProcessTree().entries(below: options.root)) ?? [] where entry.pid != checkpointer {
            for number in (try? descriptors(of: entry.pid)) ?? [] where (try? descriptorTarget(of: entry.pid, number)) == link {
                guard let info = try? DescriptorInfo(of: entry.pid, descriptor: number), info.openFlags & OpenFlag.O_ACCMODE != OpenFlag.O_WRONLY else { continue }
                throw CaptureError(
                    "cannot checkpoint the tree of \(options.root) from inside: EDEADLK (the image would go into a pipe that \(entry.pid) \(printable(entry.stat.comm)) of the tree reads, and that stands still meanwhile: -o IMG writes a file)")
            }
        }
    }
}
