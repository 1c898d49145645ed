/// Values that are made ahead of their use on other threads, in the order of their indices, as many as this process may use processors.
///
/// For reading and computing: see ``WorkThread``. What is wanted and not begun is made by the thread that wants it; while another one makes
/// it, that thread makes what comes next. So none waits for one that has not come so far, or could not be made.
package final class MadeAhead<Value: Sendable>: @unchecked Sendable {
    private enum State {
        case open
        case begun
        case made(Value)
        case taken
    }

    private let most: Int
    private let body: @Sendable (Int) -> Value
    private let condition = Condition()
    private var threads: [WorkThread] = []

    // Under the lock.
    private var states: [State]
    /// All before it have begun.
    private var next = 0
    /// Behind the last one that was wanted.
    private var wanted = 0
    private var isOver = false

    /// - Parameters:
    ///   - count: of the indices.
    ///   - most: how far ahead of what was wanted last.
    ///   - body: of an index. Called once for each, or less often.
    package init(_ count: Int, most: Int, _ body: @escaping @Sendable (Int) -> Value) {
        (self.most, self.body) = (most, body)
        states = Array(repeating: .open, count: count)
        // The threads end before this object does: see `end`.
        let others = min(count / Lanes.fewestIndices, Lanes.most) - 1
        for _ in 0..<max(0, others) {
            guard let thread = try? WorkThread({ [unowned self] in run() }) else { break }
            threads.append(thread)
        }
    }

    /// The value of an index. Once for each.
    package func take(_ index: Int) -> Value {
        while true {
            switch condition.locked({ whatToDo(for: index) }) {
            case .use(let value): return value
            case .make(index): return body(index)
            case .make(let other): make(other)
            }
        }
    }

    private enum Work {
        case use(Value)
        case make(Int)
    }

    /// Under the lock.
    private func whatToDo(for index: Int) -> Work {
        if wanted <= index {
            wanted = index + 1
            condition.wake()
        }
        while true {
            switch states[index] {
            case .made(let value):
                states[index] = .taken
                return .use(value)
            case .open, .taken:
                states[index] = .taken
                return .make(index)
            case .begun:
                if let other = begin() { return .make(other) }
                condition.wait()
            }
        }
    }

    /// Ends the threads. To be called before the last reference goes, and before a process is forked.
    package func end() {
        condition.locked {
            isOver = true
            condition.wake()
        }
        for thread in threads { thread.join() }
        threads = []
    }

    private func run() {
        while true {
            let found = condition.locked { () -> Int? in
                while true {
                    if let index = begin() { return index }
                    if isOver || next == states.count { return nil }
                    condition.wait()
                }
            }
            guard let found else { return }
            make(found)
        }
    }

    private func make(_ index: Int) {
        let value = body(index)
        condition.locked {
            states[index] = .made(value)
            condition.wake()
        }
    }

    /// The next index that may be begun now, under the lock.
    private func begin() -> Int? {
        while next < states.count, !isOpen(next) { next += 1 }
        guard !isOver, next < min(wanted + most, states.count) else { return nil }
        states[next] = .begun
        return next
    }

    private func isOpen(_ index: Int) -> Bool { if case .open = states[index] { true } else { false } }
}
