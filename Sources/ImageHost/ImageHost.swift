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
        runtime = found.runtime
        deadline = found.deadline
        period = found.period
        affinity = try Kernel.affinity(of: task).asData
        ioPriority = UInt32(bitPattern: try diskPriority(of: task))
    }
}

extension ImageVdso {
    /// The vdso of this kernel, as this process has it mapped.
    package init(_ found: Vdso, code: [UInt8]) {
        self.init()
        dataSize = UInt32(found.codeStart - found.dataStart)
        codeSize = UInt32(found.codeEnd - found.codeStart)
        checksum = crc32c(code)
        self.code = code.asData
    }
}
