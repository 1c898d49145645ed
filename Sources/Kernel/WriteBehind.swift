/// Writes buffers to a file in a thread of its own, one at a time, while the next one is filled.
///
/// If the process dies, what was handed over last may be missing. An error of a write comes with the next call.
@safe final class WriteBehind {
    private let output: Int32
    private let condition = Condition()
    private var thread: WorkThread?

    // Under the lock.
    private var pending: UnsafeRawBufferPointer?
    private var failure: SystemError?
    private var isOver = false

    /// - Errors: a thread cannot be made.
    init(to output: Int32) throws(SystemError) {
        self.output = output
        // The thread ends before this object does: see `end`.
        thread = try WorkThread { [unowned self] in run() }
    }

    /// Writes what was handed over, and ends the thread. To be called before the last reference goes.
    func end() {
        condition.locked {
            isOver = true
            condition.wake()
        }
        thread?.join()
        thread = nil
    }

    /// Has bytes written, once those before them are.
    ///
    /// - Precondition: they stay as they are until the next call has returned.
    func hand(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        try drain()
        condition.locked {
            unsafe pending = bytes
            condition.wake()
        }
    }

    /// Waits until all is written.
    func drain() throws(SystemError) {
        let failure = condition.locked {
            while unsafe pending != nil { condition.wait() }
            return self.failure
        }
        if let failure { throw failure }
    }

    private func run() {
        while let bytes = unsafe next() {
            let result = Result { () throws(SystemError) in try unsafe writeAll(bytes, to: output) }
            condition.locked {
                if case .failure(let error) = result { failure = error }
                unsafe pending = nil
                condition.wake()
            }
        }
    }

    /// Waits for bytes; nil: there will be none.
    private func next() -> UnsafeRawBufferPointer? {
        unsafe condition.locked {
            while unsafe pending == nil && !isOver { condition.wait() }
            return unsafe pending
        }
    }
}
