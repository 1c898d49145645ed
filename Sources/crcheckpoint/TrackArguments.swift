import ArgumentParser
import CommandSupport
import TreeCapture

/// The options about pages of which the kernel notes that they change.
struct TrackArguments: ParsableArguments {
    @Flag(
        name: .long,
        help: "Have the kernel note which pages the tree changes from now on, for the next checkpoint with --parent: it does not compare the others, where memory is private and has no file. A small process, crkeeper, keeps that up; it ends with the tree, and may be ended at any time.")
    var track = false

    @Flag(name: .long, help: "End what --track has begun for the tree. Takes no checkpoint.")
    var untrack = false

    func end(of root: Int32, json: Bool) throws(CaptureError) {
        let count = try Checkpoint.endTracking(of: root)
        Messages.result(json ? "{\"untracked\": \(count)}" : "\(count) keeper\(count == 1 ? " was" : "s were") ended")
    }
}
