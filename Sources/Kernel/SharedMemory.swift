internal import CKernel
internal import Glibc
internal import LinuxABI

/// Anonymous memory mapped shared at a chosen address: a child made by clone has the same memory there.
package struct SharedMemory: ~Copyable {
    package let address: UInt64
    package let size: UInt64

    /// Maps `size` bytes at `address`.
    ///
    /// - Errors: `EEXIST` where something is mapped there.
    package init(at address: UInt64, size: UInt64) throws(SystemError) {
        try FaultPoint.mapLaunchpad.pass("mmap")
        let result = ckernel_syscall(
            Int(SYS_mmap), Int(bitPattern: UInt(address)), Int(size), Int(Protection.PROT_READ | Protection.PROT_WRITE),
            Int(Mmap.MAP_SHARED | Mmap.MAP_ANONYMOUS | Mmap.MAP_FIXED_NOREPLACE), -1, 0)
        _ = try SystemError.check(result, "mmap")
        guard UInt64(UInt(bitPattern: result)) == address else { throw SystemError(EEXIST, in: "mmap") }
        self.address = address
        self.size = size
    }

    deinit { _ = ckernel_syscall(Int(SYS_munmap), Int(bitPattern: UInt(address)), Int(size), 0, 0, 0, 0) }

    /// Precondition for each access: it lies inside; a defect of the tool otherwise.
    private func pointer(_ address: UInt64, _ count: Int) -> UnsafeMutableRawPointer {
        precondition(address >= self.address && address + UInt64(count) <= self.address + size, "outside of shared memory")
        guard let pointer = unsafe UnsafeMutableRawPointer(bitPattern: UInt(address)) else {
            preconditionFailure("shared memory at 0")
        }
        return unsafe pointer
    }

    @inline(never)
    package borrowing func write(_ bytes: [UInt8], at address: UInt64) {
        unsafe bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            unsafe pointer(address, bytes.count).copyMemory(from: base, byteCount: bytes.count)
        }
    }

    @inline(never)
    package borrowing func read(at address: UInt64, count: Int) -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: pointer(address, count), count: count))
    }

    package borrowing func load32(_ address: UInt64) -> UInt32 { unsafe ckernel_load32(pointer(address, 4)) }

    package borrowing func load64(_ address: UInt64) -> UInt64 {
        unsafe pointer(address, 8).loadUnaligned(as: UInt64.self)
    }

    package borrowing func store32(_ address: UInt64, _ value: UInt32) {
        unsafe ckernel_store32(pointer(address, 4), value)
    }

    /// Stores a word and wakes all tasks that wait for it (futex(2)).
    package borrowing func publish(_ address: UInt64, _ value: UInt32) {
        store32(address, value)
        _ = ckernel_syscall(Int(SYS_futex), Int(bitPattern: UInt(address)), Int(Futex.FUTEX_WAKE), Int(Int32.max), 0, 0, 0)
    }

    /// Copies the step loop to `address` and makes its page executable and read-only.
    package borrowing func installStepLoop(at address: UInt64) throws(SystemError) {
        try FaultPoint.protectLoop.pass("mprotect")
        let size = ckernel_steploop_size()
        let code = unsafe Array(UnsafeRawBufferPointer(start: ckernel_steploop_bytes(), count: size))
        write(code, at: address)
        let result = ckernel_syscall(
            Int(SYS_mprotect), Int(bitPattern: UInt(address)), Int(pageSize),
            Int(Protection.PROT_READ | Protection.PROT_EXEC), 0, 0, 0)
        _ = try SystemError.check(result, "mprotect")
    }
}

/// Words of shared memory by address, without ownership: for a forked child, where the memory stays mapped at the
/// same address until the child ends.
package struct SharedMemoryReference: Sendable {
    package func load32(_ address: UInt64) -> UInt32 {
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: UInt(address)) else { return 0 }
        return unsafe ckernel_load32(pointer)
    }

    package func publish(_ address: UInt64, _ value: UInt32) {
        guard let pointer = unsafe UnsafeMutableRawPointer(bitPattern: UInt(address)) else { return }
        unsafe ckernel_store32(pointer, value)
        _ = ckernel_syscall(Int(SYS_futex), Int(bitPattern: UInt(address)), Int(Futex.FUTEX_WAKE), Int(Int32.max), 0, 0, 0)
    }
}

extension SharedMemory {
    package borrowing func reference() -> SharedMemoryReference { SharedMemoryReference() }
}

/// The stub that carries the step loop into an original task, and where its words lie.
package enum CheckpointStub {
    package static func code() -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: ckernel_stub_bytes(), count: ckernel_stub_size()))
    }
    package static var entryOffset: UInt64 { UInt64(ckernel_stub_entry_offset()) }
    package static var homeOffset: UInt64 { UInt64(ckernel_stub_home_offset()) }
    #if arch(arm64)
        /// Where `ARM64State.branch(from:to:)` goes if home is near enough for it.
        package static var branchOffset: UInt64 { UInt64(ckernel_stub_branch_offset()) }
    #else
        /// The jump that takes a 32-bit thread home, and where it finds eip and cs.
        package static var farOffset: UInt64 { UInt64(ckernel_stub_far_offset()) }
        package static let awayOffset = 192
    #endif
    package static let maskOffset = 0
    package static let memoryOffset = 16
    package static let sizeOffset = 24
    package static let waitOffset = 32
    package static let registersOffset = 48
    /// In the working memory: the word that says "done", the status slot, the program.
    package static let doneOffset: UInt64 = 0
    package static let slotOffset: UInt64 = 16
    package static let programOffset: UInt64 = 64
}
