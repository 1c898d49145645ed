internal import CheckpointImage
internal import Kernel

/// `--track`: the kernel notes which pages are written from one checkpoint on, and the next one with `--parent` asks for them.
extension Checkpoint {
    /// Asks what was written since the parent image, and begins anew where that is wanted: what was tracked before ends then, because a
    /// mapping is served by one descriptor.
    ///
    /// - Preconditions: the tree stands still, and will until its pages are read or copied.
    /// - Returns: pages that are as in the parent.
    func track(_ sight: TreeSight, _ memory: MemorySight, _ tracking: Tracking?) -> UnchangedPages {
        var kept = KeptTracking()
        for process in sight.processes where sight[space: process.space].tracked != nil { kept.learn(of: TrackRecord.Process(process)) }
        var unchanged = UnchangedPages()
        if let parent = options.parent {
            unchanged = UnchangedPages(sight, memory, kept, since: parent.record.identity.asBytes)
        }
        if let tracking {
            kept.end(of: sight.processes.map { TrackRecord.Process($0) })
            tracking.begin(sight, memory)
        }
        return unchanged
    }
}
