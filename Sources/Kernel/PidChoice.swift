internal import CKernel
internal import Glibc
internal import LinuxABI

/// By what means a new task can be given a chosen number; the questions create no task.
///
/// - Source: clone3(2), `set_tid`; pid_namespaces(7), `/proc/sys/kernel/ns_last_pid`.
package enum PidChoice {
    /// Whether clone3 can be called at all: kernels before 5.3 lack it, and filters of containers refuse it
    /// (`ENOSYS`, `EPERM`). The call is made with an empty structure, which a kernel that has it answers with `EINVAL`.
    package static var hasClone3: Bool { ckernel_syscall(Int(SYS_clone3), 0, 0, 0, 0, 0, 0) == -Int(EINVAL) }

    /// Why `set_tid` cannot be used in this pid namespace, or nil.
    ///
    /// Asks for the number of this process, so that no task is created: where numbers may be chosen the answer is
    /// `EEXIST`. Linux before 5.5 answers `E2BIG`.
    @inline(never)
    package static func setTidFailure() -> SystemError? {
        var wanted = getpid()
        var arguments = ckernel_clone_args()
        // The memory is not copied for a task that there will not be.
        arguments.flags = UInt64(CloneFlag.CLONE_VM | CloneFlag.CLONE_VFORK)
        let result = unsafe withUnsafePointer(to: &wanted) { set in
            arguments.set_tid = UInt64(UInt(bitPattern: set))
            arguments.set_tid_size = 1
            return unsafe withUnsafePointer(to: &arguments) { pointer in
                ckernel_syscall(
                    Int(SYS_clone3), Int(bitPattern: pointer), MemoryLayout<ckernel_clone_args>.size, 0, 0, 0, 0)
            }
        }
        // Never reached in a child: the number is taken by this process.
        if result == 0 { Processes.exitNow(0) }
        return result == -Int(EEXIST) ? nil : SystemError(Int32(-result), in: "clone3 with set_tid")
    }

    /// Why the next number of this pid namespace cannot be set, or nil. Writes nothing.
    package static func lastPidFailure() -> SystemError? {
        do throws(SystemError) {
            try LastPid().probe()
            return nil
        } catch { return error }
    }

    /// The number given out last in this pid namespace.
    package static func lastPid() -> Int32? {
        (try? readFile("/proc/sys/kernel/ns_last_pid")).flatMap { text in
            Int32(String(decoding: text, as: UTF8.self).prefix { $0.isNumber })
        }
    }

    /// Numbers are below this in the pid namespace of this process; before Linux 6.14, in all.
    package static func end() -> UInt32 {
        let text = (try? readFile("/proc/sys/kernel/pid_max")) ?? []
        return UInt32(String(decoding: text, as: UTF8.self).prefix { $0.isNumber }) ?? 32768
    }

    /// The same in a new pid namespace; nil where none can be made. Forks a child into it, which tells.
    package static func endInNewNamespace() -> UInt32? {
        guard let answer = try? DescriptorTable.pipe() else { return nil }
        defer { DescriptorTable.close(answer.read) }
        guard let child = try? Processes.fork(namespaces: Processes.newPidNamespace) else {
            DescriptorTable.close(answer.write)
            return nil
        }
        if child == 0 {
            let end = end()
            Channel.send((0..<4).map { UInt8(truncatingIfNeeded: end >> ($0 * 8)) }, over: answer.write)
            Processes.exitNow(0)
        }
        DescriptorTable.close(answer.write)
        let bytes = (try? readBytes(answer.read, upTo: 4, at: nil)) ?? []
        while let found = try? Waiting.wait(child, block: true), !found.status.isDead {}
        return bytes.count == 4 ? bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) } : nil
    }
}

/// The number that the kernel gave out last in the pid namespace of this process: the next task gets the one after
/// it, unless another process forks in between.
package struct LastPid: ~Copyable {
    private let file: Descriptor

    package init() throws(SystemError) { file = try Descriptor.open("/proc/sys/kernel/ns_last_pid", O_WRONLY) }

    package var number: Int32 { file.number }

    /// Locks the file (flock(2)) against other processes that lock it before they write, until the last descriptor
    /// of this open file is closed.
    package borrowing func lock() throws(SystemError) {
        try FaultPoint.lockLastPid.pass("flock")
        _ = try SystemError.check(ckernel_syscall(Int(SYS_flock), Int(file.number), Int(LOCK_EX), 0, 0, 0, 0), "flock")
    }

    /// The next task in this namespace gets `pid`.
    package borrowing func announce(_ pid: Int32) throws(SystemError) {
        try FaultPoint.announcePid.pass("write ns_last_pid")
        try file.write(Array(String(pid - 1).utf8))
    }

    /// A write of nothing: the kernel looks at the capability only.
    @inline(never)
    fileprivate borrowing func probe() throws(SystemError) {
        var nothing: UInt8 = 0
        let result = unsafe withUnsafePointer(to: &nothing) { pointer in
            ckernel_syscall(Int(SYS_write), Int(file.number), Int(bitPattern: pointer), 0, 0, 0, 0)
        }
        _ = try SystemError.check(result, "write ns_last_pid")
    }
}
