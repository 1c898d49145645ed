internal import CKernel
internal import Glibc
internal import LinuxABI

/// What two tasks may share, in the numbers of kcmp(2).
package enum SharedKind: Int32, Sendable {
    /// An open file; the indices are descriptor numbers.
    case openFile = 0
    case memory = 1
    case descriptorTable = 2
    /// Working directory, root, umask.
    case fileSystem = 3
    case signalActions = 4
    case diskContext = 5
    case semaphoreUndo = 6
}

/// The kernel's order of two of its objects: consistent while both live, and otherwise meaningless.
package enum KernelOrder: Equatable, Sendable { case same, before, after }

/// Binary search in a list that is sorted by the kernel's order. Gives the equal element, if there is one, and its
/// index; otherwise the index to insert at.
package func find<Element>(
    among known: [Element], _ order: (Element) throws(SystemError) -> KernelOrder
) throws(SystemError) -> (same: Element?, place: Int) {
    var low = 0
    var high = known.count
    while low < high {
        let middle = (low + high) / 2
        switch try order(known[middle]) {
        case .same: return (known[middle], middle)
        case .before: high = middle
        case .after: low = middle + 1
        }
    }
    return (nil, low)
}

/// Compares what two tasks have in the place of `kind`.
///
/// - If a task is gone: throws `ESRCH`; a descriptor that is not open: `EBADF`.
/// - Source: kcmp(2).
package func compare(
    _ kind: SharedKind, of first: Int32, _ firstDescriptor: Int32 = 0, with second: Int32,
    _ secondDescriptor: Int32 = 0, at point: FaultPoint = .kcmp
) throws(SystemError) -> KernelOrder {
    try point.pass("kcmp")
    let result = ckernel_syscall(
        Int(SYS_kcmp), Int(first), Int(second), Int(kind.rawValue), Int(firstDescriptor),
        Int(secondDescriptor), 0)
    switch try SystemError.check(result, "kcmp") {
    case 0: return .same
    case 1: return .before
    case 2: return .after
    // 3: not equal, order not told.
    default: throw malformed("kcmp")
    }
}

extension Descriptor {
    /// Opens a process, or with `PIDFD_THREAD` (since 6.9) one of its threads.
    ///
    /// - Source: pidfd_open(2).
    package static func open(process pid: Int32, asThread: Bool = false) throws(SystemError) -> Descriptor {
        try FaultPoint.pidfdOpen.pass("pidfd_open")
        let flags = asThread ? Int(Pidfd.PIDFD_THREAD) : 0
        let result = ckernel_syscall(Int(SYS_pidfd_open), Int(pid), flags, 0, 0, 0, 0)
        return Descriptor(owning: Int32(try SystemError.check(result, "pidfd_open")))
    }

    /// Opens a task for its descriptors: a process, or a thread that has a table of its own. A number that is not that of a
    /// process is refused with `EINVAL`, or with `ENOENT` by newer kernels.
    ///
    /// - Source: pidfd_open(2); kernel/fork.c, `pidfd_prepare`.
    package static func open(task: Int32) throws(SystemError) -> Descriptor {
        do throws(SystemError) { return try open(process: task) } catch {
            guard error.number == Errno.EINVAL || error.number == Errno.ENOENT else { throw error }
            return try open(process: task, asThread: true)
        }
    }

    /// Duplicates descriptor `number` of the process behind this pidfd into this process.
    ///
    /// - Source: pidfd_getfd(2); wants the right to attach by ptrace.
    package borrowing func duplicate(remote number: Int32) throws(SystemError) -> Descriptor {
        try FaultPoint.pidfdGetfd.pass("pidfd_getfd")
        let result = ckernel_syscall(Int(SYS_pidfd_getfd), Int(self.number), Int(number), 0, 0, 0, 0)
        return Descriptor(owning: Int32(try SystemError.check(result, "pidfd_getfd")))
    }
}
