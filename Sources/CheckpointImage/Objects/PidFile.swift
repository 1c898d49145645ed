/// A pidfd: a descriptor of a process or thread of the tree, or of a process that has ended.
extension ImagePidFile: SavedObject {
    package var awaited: UInt32? { ended ? nil : process }
    /// Before the tree has processes whose numbers the one could get that ends for it.
    package var isMadeByRoot: Bool { ended }
    /// Other threads than the first are made last.
    package var isMadeLast: Bool { thread != 0 && thread != process }

    package func check(_ rules: RuleContext) throws(ImageError) {
        if ended { return try rules.require(process == 0 && thread == 0, .pidFileTask) }
        try rules.require(rules.lookup.process[process] != nil, .pidFileTask)
        guard thread != 0, thread != process else { return }
        let owner = rules.lookup.thread[thread].map { rules.records.threads[$0].process }
        try rules.require(owner == process, .pidFileTask)
    }

    package func summary(in image: CheckpointImage) -> String {
        ended ? "pidfd of a process that has ended" : thread == 0 ? "pidfd of process \(process)" : "pidfd of thread \(thread)"
    }
}
