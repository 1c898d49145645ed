internal import Glibc

/// A lock with a condition: threads that share state change it under the lock, and wait until another one has changed it.
///
/// - Source: pthread_cond_wait(3).
@safe final class Condition {
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>

    init() {
        unsafe lock = .allocate(capacity: 1)
        unsafe changed = .allocate(capacity: 1)
        unsafe pthread_mutex_init(lock, nil)
        unsafe pthread_cond_init(changed, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(changed)
        unsafe pthread_mutex_destroy(lock)
        unsafe changed.deallocate()
        unsafe lock.deallocate()
    }

    func locked<Value>(_ body: () -> Value) -> Value {
        unsafe pthread_mutex_lock(lock)
        defer { unsafe pthread_mutex_unlock(lock) }
        return body()
    }

    /// Lets others have the lock until one of them calls ``wake()``. Under the lock only; what is waited for has to be looked at again.
    func wait() { unsafe pthread_cond_wait(changed, lock) }

    func wake() { unsafe pthread_cond_broadcast(changed) }
}
