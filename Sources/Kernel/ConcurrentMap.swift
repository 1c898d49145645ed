/// Calls `body` for each index below `count`, on as many threads as this process may use processors; gives the results in order.
///
/// For reading and computing: see ``WorkThread``. All threads have ended on return. Where one cannot be made, the caller does its
/// part.
package func concurrentMap<Value: Sendable>(_ count: Int, _ body: @Sendable (Int) -> Value) -> [Value] {
    let lanes = min(count / Lanes.fewestIndices, Lanes.most)
    if lanes < 2 { return (0..<count).map(body) }
    return withoutActuallyEscaping(body) { body in
        // One thread may be slow to start: so each takes indices from all over, not a stretch.
        let others = (1..<lanes).map { lane in Lane { stride(from: lane, to: count, by: lanes).map(body) } }
        for other in others { other.start() }
        let parts = [stride(from: 0, to: count, by: lanes).map(body)] + others.map { $0.finish() }
        return (0..<count).map { parts[$0 % lanes][$0 / lanes] }
    }
}

enum Lanes {
    /// A thread costs about as much as reading so many small files of `/proc`.
    static let fewestIndices = 8
    /// As many as this process may use processors, but not so many that their memory counts.
    static let most = min(16, ((try? affinity(of: 0)) ?? []).reduce(0) { $0 + $1.nonzeroBitCount })
}

/// What one thread does, and its result.
private final class Lane<Value: Sendable>: @unchecked Sendable {
    private let body: () -> [Value]
    private var thread: WorkThread?
    private var values: [Value] = []

    init(_ body: @escaping () -> [Value]) { self.body = body }

    /// The values are written by the thread, and read after it has ended.
    func start() { thread = try? WorkThread { self.values = self.body() } }

    func finish() -> [Value] {
        guard let thread else { return body() }
        thread.join()
        return values
    }
}
