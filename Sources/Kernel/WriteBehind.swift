internal import Glibc

/// Writes buffers to a file in a thread of its own, one at a time, while the next one is filled.
///
/// If the process dies, what was handed over last may be missing. An error of a write comes with the next call.
@safe final class WriteBehind {
    private let output: Int32
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var thread: WorkThread?

    // Under the lock.
    private var pending: UnsafeRawBufferPointer?
    private var failure: SystemError?
    private var isOver = false

    /// - Errors: a thread cannot be made.
    init(to output: Int32) throws(SystemError) {
        self.output = output
        unsafe lock = .allocate(capacity: 1)
        unsafe changed = .allocate(capacity: 1)
        unsafe pthread_mutex_init(lock, nil)
        unsafe pthread_cond_init(changed, nil)
        // The thread ends before this object does: see `end`.
        thread = try WorkThread { [unowned self] in run() }
    }

    deinit {
        unsafe pthread_cond_destroy(changed)
        unsafe pthread_mutex_destroy(lock)
        unsafe changed.deallocate()
        unsafe lock.deallocate()
    }

    /// Writes what was handed over, and ends the thread. To be called before the last reference goes.
    func end() {
        unsafe pthread_mutex_lock(lock)
        isOver = true
        unsafe pthread_cond_broadcast(changed)
        unsafe pthread_mutex_unlock(lock)
        thread?.join()
        thread = nil
    }

    /// Has bytes written, once those before them are.
    ///
    /// - Precondition: they stay as they are until the next call has returned.
    func hand(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        try drain()
        unsafe pthread_mutex_lock(lock)
        unsafe pending = bytes
        unsafe pthread_cond_broadcast(changed)
        unsafe pthread_mutex_unlock(lock)
    }

    /// Waits until all is written.
    func drain() throws(SystemError) {
        unsafe pthread_mutex_lock(lock)
        while unsafe pending != nil { unsafe pthread_cond_wait(changed, lock) }
        let failure = failure
        unsafe pthread_mutex_unlock(lock)
        if let failure { throw failure }
    }

    private func run() {
        unsafe pthread_mutex_lock(lock)
        while true {
            while unsafe pending == nil && !isOver { unsafe pthread_cond_wait(changed, lock) }
            guard let bytes = unsafe pending else { break }
            unsafe pthread_mutex_unlock(lock)
            let result = Result { () throws(SystemError) in try unsafe writeAll(bytes, to: output) }
            unsafe pthread_mutex_lock(lock)
            if case .failure(let error) = result { failure = error }
            unsafe pending = nil
            unsafe pthread_cond_broadcast(changed)
        }
        unsafe pthread_mutex_unlock(lock)
    }
}
