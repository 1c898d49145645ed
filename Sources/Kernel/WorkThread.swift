internal import CKernel
internal import Glibc
internal import LinuxABI

/// A thread that runs one body to its end. It has the credentials and the signal mask of the thread that started it.
///
/// For reading, computing and writing: ptrace(2) and wait4(2) belong to the thread that seized a task.
package final class WorkThread {
    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }

    private let thread: pthread_t

    /// - Parameter body: until ``join()`` nothing else may use what it changes.
    /// - Errors: `EAGAIN`: of pthread_create(3).
    package init(_ body: @escaping () -> Void) throws(SystemError) {
        let given = Unmanaged.passRetained(Body(body))
        var made = pthread_t()
        let error = unsafe pthread_create(
            &made, nil,
            { raw in
                // The one reference that was given away.
                if let raw = unsafe raw { unsafe Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run() }
                return nil
            }, given.toOpaque())
        if error != 0 {
            unsafe given.release()
            throw SystemError(error, in: "pthread_create")
        }
        thread = made
        // A thread gives both a list of semaphore operations to undo (CLONE_SYSVSEM). Without one again: a task that has none
        // is told by comparing it with this process, which has none.
        _ = ckernel_syscall(Int(SYS_unshare), Int(CloneFlag.CLONE_SYSVSEM), 0, 0, 0, 0, 0)
    }

    /// Waits until the body has ended. Once.
    package func join() { pthread_join(thread, nil) }
}
