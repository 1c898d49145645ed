internal import Kernel
internal import LinuxABI

/// Processes by descriptor: what is sent to one of them can never reach another process that got its number.
struct ProcessHandles {
    private final class Handle {
        let process: ProcessHandle
        init(_ process: consuming ProcessHandle) { self.process = process }
    }

    private var handles: [Int32: Handle] = [:]

    /// Whether it is there still, alive or as a zombie: until it has been reaped no other process gets its number.
    private static func exists(_ handle: Handle) -> Bool {
        do throws(SystemError) { try handle.process.send(0) } catch { return error.number != Errno.ESRCH }
        return true
    }

    /// Takes a handle of a process, unless there is one.
    ///
    /// - Precondition: it cannot have been reaped: it is our tracee or child, and has not been waited for.
    /// - Errors: `EINVAL` or `ENOENT` (newer kernels): it is a thread, not a process; `ESRCH`: it was reaped.
    mutating func open(_ pid: Int32) throws(SystemError) {
        if handles[pid] != nil { return }
        handles[pid] = Handle(try ProcessHandle(pid))
    }

    /// Its number may soon be that of another process, or is not of interest any more.
    mutating func close(_ pid: Int32) { handles[pid] = nil }

    /// - Errors: `ESRCH`: it was reaped, or there is no handle of it.
    func send(_ signal: Int32, to pid: Int32) throws(SystemError) {
        guard let handle = handles[pid] else { throw SystemError(Errno.ESRCH, in: "pidfd_send_signal") }
        try handle.process.send(signal)
    }

    func kill(_ pid: Int32) { try? send(Signal.SIGKILL, to: pid) }

    /// Ends all. Those that were reaped are passed over.
    func killAll() { for handle in handles.values { try? handle.process.send(Signal.SIGKILL) } }

    /// Lets go of those that were reaped.
    mutating func dropReaped() { handles = handles.filter { Self.exists($0.value) } }

    var isEmpty: Bool { handles.isEmpty }
}
