/// The lines that are exchanged over `--hold`, one word first, then its values, separated by single blanks.
///
/// `docs/protocol.md` tells what each side says, when, and what it means that the other end is gone.
package enum HoldWords {
    /// What `crcheckpoint --hold` says.
    package enum Source {
        /// `held PROCESSES BYTES`: the image is complete, the tree stands still. Also the answer to `ask`.
        package static let held = "held"
        /// The answer to `keep PATH`.
        package static let kept = "kept"
        /// The tree has ended, every process of it.
        package static let killed = "killed"
        /// The tree is stopped by SIGSTOP.
        package static let stopped = "stopped"
        /// The tree goes on.
        package static let released = "released"
    }

    /// What `crcheckpoint --hold` is told.
    package enum SourceOrder {
        package static let ask = "ask"
        package static let kill = "kill"
        /// `kill`, and the tree's connections are not locked any more: it runs elsewhere, and its addresses are there.
        package static let moved = "moved"
        package static let stop = "stop"
        package static let release = "release"
        /// `keep PATH`: from here on nothing but an order ends the hold. Orders also come from the FIFO at PATH.
        package static let keep = "keep"
    }

    /// What `crrestart --hold` says.
    package enum Target {
        /// `parked PROCESSES`: the tree is here, complete and checked, and does not run yet. Also the answer to `ask`.
        package static let parked = "parked"
        /// `running PID`: the root's number as seen from there.
        package static let running = "running"
    }

    /// What `crrestart --hold` is told.
    package enum TargetOrder {
        package static let ask = "ask"
        package static let go = "go"
        package static let abort = "abort"
    }

    /// `failed SENTENCE`: the command ends, and nothing that it made is left. `unknown WORD`: there is no such order.
    package static let failed = "failed"
    package static let unknown = "unknown"
}
