/// What `/proc/PID/status` and `/proc/PID/task/TID/status` say about a task.
///
/// - Source: proc(5), `/proc/pid/status`; fs/proc/array.c, `proc_pid_status`.
package struct TaskStatus: Equatable, Sendable {
    /// Thread group: the pid of the process.
    package var processID: Int32 = 0
    package var numaGroup: Int32 = 0
    /// The task itself: a tid.
    package var taskID: Int32 = 0
    package var parent: Int32 = 0
    /// The process that traces the task; zero: none.
    package var tracer: Int32 = 0
    /// One letter, as in ``ProcessStat/state``.
    package var state: UInt8 = 0
    /// Real, effective, saved, file system.
    package var users: [UInt32] = []
    /// Real, effective, saved, file system.
    package var groups: [UInt32] = []
    package var supplementaryGroups: [UInt32] = []
    /// The tid in each pid namespace from that of this `/proc` inwards; one entry outside of namespaces.
    package var namespaceTaskIDs: [UInt32] = []
    /// Likewise the pid, process group and session.
    package var namespaceProcessIDs: [UInt32] = []
    package var namespaceGroups: [UInt32] = []
    package var namespaceSessions: [UInt32] = []
    /// Nil where the kernel does not say (before 4.7).
    package var fileModeMask: UInt32?
    /// Bit n-1 stands for signal n in all five sets.
    package var pendingSignals: UInt64 = 0
    /// Pending for the process as a whole.
    package var sharedPendingSignals: UInt64 = 0
    package var blockedSignals: UInt64 = 0
    package var ignoredSignals: UInt64 = 0
    package var caughtSignals: UInt64 = 0
    /// Queued signals of the real user, and the limit.
    package var queuedSignals: UInt64 = 0
    package var inheritableCapabilities: UInt64 = 0
    package var permittedCapabilities: UInt64 = 0
    package var effectiveCapabilities: UInt64 = 0
    package var boundingCapabilities: UInt64 = 0
    package var ambientCapabilities: UInt64 = 0
    package var noNewPrivileges = false
    /// 0 none, 1 strict, 2 filter.
    package var seccompMode: UInt32 = 0
    /// Number of filters; nil where the kernel does not say (before 5.9).
    package var seccompFilters: UInt32?
    package var threadCount: UInt32 = 0
    /// Nil where the kernel does not say (before 6.8).
    package var isKernelThread: Bool?
    /// The kernel writes a core file of this process now.
    package var isDumpingCore = false
    /// Bytes of mlock(2); nil for tasks without memory (kernel threads, zombies).
    package var lockedBytes: UInt64?
    /// Resident bytes, and those swapped out.
    package var residentBytes: UInt64?
    package var swappedBytes: UInt64?
    /// How often the task has blocked in the kernel (`voluntary_ctxt_switches`).
    package var voluntarySwitches: UInt64?
}

extension TaskStatus {
    /// Reads `/proc/PID/status`.
    ///
    /// - If the process is gone: throws `ENOENT` or `ESRCH`.
    package init(of pid: Int32) throws(SystemError) {
        try self.init(parsing: try ProcText.status(of: pid))
    }

    /// Reads `/proc/PID/task/TID/status`.
    package init(of pid: Int32, task: Int32) throws(SystemError) {
        try self.init(parsing: try ProcText.status(of: pid, task: task))
    }

    package init(parsing text: [UInt8]) throws(SystemError) {
        self.init()
        var cursor = ByteCursor(text)
        while !cursor.isAtEnd {
            if let name = cursor.key() { try take(name, &cursor) }
            cursor.skipLine()
        }
        // A text without these is not one of a task: the file was cut or is another.
        guard processID > 0, taskID > 0, users.count == 4, groups.count == 4 else {
            throw malformed("status")
        }
    }

    private mutating func take(_ name: UInt64, _ cursor: inout ByteCursor) throws(SystemError) {
        switch name {
        case key("State"):
            cursor.skipBlanks()
            state = cursor.next
        case key("Tgid"): processID = try Self.number(&cursor)
        case key("Ngid"): numaGroup = try Self.number(&cursor)
        case key("Pid"): taskID = try Self.number(&cursor)
        case key("PPid"): parent = try Self.number(&cursor)
        case key("TracerPid"): tracer = try Self.number(&cursor)
        case key("Uid"): users = Self.list(&cursor)
        case key("Gid"): groups = Self.list(&cursor)
        case key("Groups"): supplementaryGroups = Self.list(&cursor)
        case key("NStgid"): namespaceProcessIDs = Self.list(&cursor)
        case key("NSpid"): namespaceTaskIDs = Self.list(&cursor)
        case key("NSpgid"): namespaceGroups = Self.list(&cursor)
        case key("NSsid"): namespaceSessions = Self.list(&cursor)
        case key("Umask"): fileModeMask = cursor.octal().map { UInt32(truncatingIfNeeded: $0) }
        case key("SigQ"): queuedSignals = cursor.decimal() ?? 0
        case key("SigPnd"): pendingSignals = try Self.mask(&cursor)
        case key("ShdPnd"): sharedPendingSignals = try Self.mask(&cursor)
        case key("SigBlk"): blockedSignals = try Self.mask(&cursor)
        case key("SigIgn"): ignoredSignals = try Self.mask(&cursor)
        case key("SigCgt"): caughtSignals = try Self.mask(&cursor)
        case key("CapInh"): inheritableCapabilities = try Self.mask(&cursor)
        case key("CapPrm"): permittedCapabilities = try Self.mask(&cursor)
        case key("CapEff"): effectiveCapabilities = try Self.mask(&cursor)
        case key("CapBnd"): boundingCapabilities = try Self.mask(&cursor)
        case key("CapAmb"): ambientCapabilities = try Self.mask(&cursor)
        case key("NoNewPrivs"): noNewPrivileges = try Self.number(&cursor) != 0
        case key("Seccomp"): seccompMode = UInt32(bitPattern: try Self.number(&cursor))
        case key("Seccomp_filters"): seccompFilters = UInt32(bitPattern: try Self.number(&cursor))
        case key("Threads"): threadCount = UInt32(bitPattern: try Self.number(&cursor))
        case key("Kthread"): isKernelThread = try Self.number(&cursor) != 0
        case key("CoreDumping"): isDumpingCore = try Self.number(&cursor) != 0
        case key("VmLck"): lockedBytes = cursor.decimal().map { $0 << 10 }
        case key("VmRSS"): residentBytes = cursor.decimal().map { $0 << 10 }
        case key("VmSwap"): swappedBytes = cursor.decimal().map { $0 << 10 }
        case key("voluntary_ctxt_switches"): voluntarySwitches = cursor.decimal()
        default: break
        }
    }

    private static func number(_ cursor: inout ByteCursor) throws(SystemError) -> Int32 {
        guard let value = cursor.decimal(), let number = Int32(exactly: value) else {
            throw malformed("status")
        }
        return number
    }

    private static func mask(_ cursor: inout ByteCursor) throws(SystemError) -> UInt64 {
        guard let value = cursor.hexadecimal() else { throw malformed("status") }
        return value
    }

    private static func list(_ cursor: inout ByteCursor) -> [UInt32] {
        var numbers: [UInt32] = []
        while let value = cursor.decimal() { numbers.append(UInt32(truncatingIfNeeded: value)) }
        return numbers
    }
}
