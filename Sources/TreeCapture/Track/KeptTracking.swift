internal import Kernel

/// What keepers of this user hold of a tree.
struct KeptTracking: Sendable {
    private var all: [(keeper: Int32, record: TrackRecord)] = []
    private var hasSearched = false

    /// Learns what tracks a process that has tracked memory: from its keeper's note, as a rule. Without one all processes of the host are
    /// looked at, once.
    mutating func learn(of process: TrackRecord.Process) {
        if knows(process) { return }
        if let found = Keeper.noted(for: process.pid) { add(found) }
        if knows(process) || hasSearched { return }
        hasSearched = true
        for found in (try? Keeper.all()) ?? [] { add(found) }
    }

    private func knows(_ process: TrackRecord.Process) -> Bool { all.contains { $0.record.space(of: process) != nil } }

    private mutating func add(_ found: Keeper.Found) {
        if all.contains(where: { $0.keeper == found.pid }) { return }
        if let record = TrackRecord(found.record) { all.append((found.pid, record)) }
    }

    /// What is tracked in the memory of a process, whatever since.
    func ranges(of process: TrackRecord.Process) -> [PageRun] {
        all.flatMap { $0.record.space(of: process)?.ranges ?? [] }.sorted { $0.start < $1.start }
    }

    /// The same since an image, with the id that the space has there.
    func space(of process: TrackRecord.Process, since identity: [UInt8]) -> TrackRecord.Space? {
        all.lazy.filter { $0.record.identity == identity }.compactMap { $0.record.space(of: process) }.first
    }

    /// Ends the keepers of these processes.
    ///
    /// - Returns: how many there were.
    @discardableResult
    func end(of processes: [TrackRecord.Process]) -> Int {
        let found = all.filter { one in processes.contains { one.record.space(of: $0) != nil } }
        for one in found { Keeper.end(one.keeper) }
        return found.count
    }
}
