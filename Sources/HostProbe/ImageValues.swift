package import CheckpointImage
package import Kernel

// How the kernel's words become the image's: what a checkpoint writes of a task, and what a restart
// compares itself with, is made by the same lines.

extension ImageCredentials {
    /// Users, groups and capability sets; the secure bits only the task itself can tell.
    package init(_ status: TaskStatus) {
        self.init()
        if status.users.count == 4, status.groups.count == 4 {
            realUser = status.users[0]
            effectiveUser = status.users[1]
            savedUser = status.users[2]
            fileSystemUser = status.users[3]
            realGroup = status.groups[0]
            effectiveGroup = status.groups[1]
            savedGroup = status.groups[2]
            fileSystemGroup = status.groups[3]
        }
        groups = status.supplementaryGroups
        permitted = status.permittedCapabilities
        effective = status.effectiveCapabilities
        inheritable = status.inheritableCapabilities
        bounding = status.boundingCapabilities
        ambient = status.ambientCapabilities
    }
}

extension ImageScheduling {
    /// Of one task; 0 is the calling thread.
    package init(of task: Int32) throws(SystemError) {
        let found = try SchedulingPolicy(of: task)
        self.init()
        policy = found.policy
        flags = found.flags
        nice = found.nice
        priority = found.priority
        // A policy without deadlines tells its time slice there: worth saving only if it has been chosen.
        runtime = found.policy != 6 && found.runtime == Self.usualSlice ? 0 : found.runtime
        deadline = found.deadline
        period = found.period
        affinity = try Kernel.affinity(of: task).asData
        ioPriority = UInt32(bitPattern: try diskPriority(of: task))
    }
}

extension ImageScheduling {
    /// The time slice of this process: where none has been chosen, that of every task here. Read from
    /// sched_getattr(2), since Linux 6.12.
    fileprivate static let usualSlice: UInt64 = {
        guard let own = try? SchedulingPolicy(of: 0), own.policy == 0 || own.policy == 3 else { return 0 }
        return own.runtime
    }()
}

extension SchedulingPolicy {
    /// Bounds on how busy a task makes its processor look: the kernel's own are 0 and 1024, real-time ones aside.
    package var isClamped: Bool {
        let isRealtime = policy == 1 || policy == 2
        return !isRealtime && minimumUtilization != 0 || maximumUtilization != 0 && maximumUtilization != 1024
    }
}

extension ImageVdso {
    /// What this kernel gives to 32-bit programs.
    package init(_ found: CompatVdso) {
        self.init()
        dataSize = UInt32(found.dataSize)
        codeSize = UInt32(found.code.count)
        checksum = crc32c(found.code)
    }

    /// The vdso of this kernel, as this process has it mapped.
    package init(_ found: Vdso, code: [UInt8]) {
        self.init()
        dataSize = UInt32(found.codeStart - found.dataStart)
        codeSize = UInt32(found.codeEnd - found.codeStart)
        checksum = crc32c(code)
        self.code = code.asData
    }
}
