internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension Checkpoint {
    /// Keeps the tree stopped until an order tells what becomes of it.
    ///
    /// Orders that come together are taken one after the other. The end of the other side is an order, too: the tree goes on,
    /// unless `keep` was said before.
    ///
    /// - Preconditions: the image is complete, and has its name.
    /// - If this process dies meanwhile: the tree goes on.
    /// - Returns: what becomes of the tree, and whether its connections stay locked then.
    func decide(_ hold: HoldChannel, _ result: Result) throws(CaptureError) -> (Afterwards, locked: Bool) {
        let held = "\(HoldWords.Source.held) \(result.processes) \(result.bytes)"
        hold.tell(held)
        while true {
            let word = hold.next(within: nil) { watch.interruption() != nil }
            if let interruption = watch.interruption() { throw interruption }
            guard case .line(let line) = word else {
                throw CaptureError(
                    "cannot hold the tree of \(options.root) any longer: EPIPE (the process at the other end of --hold is gone and has given no order; the tree goes on; the image is complete)")
            }
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            switch parts.first {
            case HoldWords.SourceOrder.ask: hold.tell(held)
            case HoldWords.SourceOrder.kill: return (.kill, true)
            case HoldWords.SourceOrder.moved: return (.kill, false)
            case HoldWords.SourceOrder.stop: return (.stop, true)
            case HoldWords.SourceOrder.release: return (.goOn, false)
            case HoldWords.SourceOrder.keep where parts.count == 2:
                do throws(SystemError) { try hold.follow(parts[1]) } catch {
                    hold.tell("\(HoldWords.failed) cannot keep holding: \(error.name) (\(printable(Array(parts[1].utf8))) has to be a FIFO of this user)")
                    continue
                }
                // Neither a signal nor the end of the other side ends the hold from here on.
                watch.end()
                hold.tell(HoldWords.Source.kept)
            default: hold.tell("\(HoldWords.unknown) \(parts.first.map { printable(Array($0.utf8)) } ?? "")")
            }
        }
    }

    /// Says over `--hold` what has become of the tree.
    func tell(_ hold: HoldChannel?, _ afterwards: Afterwards) {
        switch afterwards {
        case .kill: hold?.tell(HoldWords.Source.killed)
        case .stop: hold?.tell(HoldWords.Source.stopped)
        case .goOn: hold?.tell(HoldWords.Source.released)
        }
    }
}
