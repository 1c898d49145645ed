/// A pidfd: a descriptor of a process or thread of the tree.
extension ImagePidFile: SavedObject {
    package var awaited: UInt32? { process }
    /// Other threads than the first are made last.
    package var isMadeLast: Bool { thread != 0 && thread != process }

    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(rules.lookup.process[process] != nil, .pidFileTask)
        guard thread != 0, thread != process else { return }
        let owner = rules.lookup.thread[thread].map { rules.records.threads[$0].process }
        try rules.require(owner == process, .pidFileTask)
    }

    package func summary(in image: CheckpointImage) -> String {
        thread == 0 ? "pidfd of process \(process)" : "pidfd of thread \(thread)"
    }
}
