/// What the kernel would do in `restart_syscall` for a task whose interrupted call returned
/// `-ERESTART_RESTARTBLOCK`.
///
/// All times are nanoseconds. Points in time are on the host's clocks: for a task in a time namespace,
/// what it reads from its clock is that plus the namespace's offset.
///
/// - Source: include/linux/restart_block.h.
package enum RestartBlock: Equatable, Sendable {
    /// nanosleep(2) and relative clock_nanosleep(2): asleep until `expires` on `clock`.
    ///
    /// `clock` is the one that the kernel's timer runs on, not always the one of the call: relative sleeps
    /// on `CLOCK_REALTIME` run on `CLOCK_MONOTONIC` (1). `expires` includes the timer slack. The remaining
    /// time of an interrupted sleep goes to `remaining`, which is 0 where the caller gave none.
    case nanosleep(clock: Int32, remaining: UInt64, isCompat: Bool, expires: Int64)
    /// The same for the CPU-time clocks: `expires` is CPU time of `clock`.
    case cpuNanosleep(clock: Int32, remaining: UInt64, isCompat: Bool, expires: Int64)
    /// poll(2) on `count` entries at `descriptors` until `deadline` on `CLOCK_MONOTONIC`, nil: without end.
    case poll(descriptors: UInt64, count: UInt32, deadline: Int64?)
    /// futex(2), `FUTEX_WAIT` or `FUTEX_WAIT_BITSET`, until `expires`, which is on `CLOCK_REALTIME` if
    /// `flags` say so and else on `CLOCK_MONOTONIC`.
    case futex(address: UInt64, value: UInt32, flags: FutexFlags, bitset: UInt32, expires: Int64)
    /// Nothing to be restarted: such a call would return `EINTR`.
    case none
    /// A kernel function that this program does not know.
    case unknown(function: UInt64, name: String)
}

/// The kernel's own flags of a futex wait.
///
/// - Source: kernel/futex/futex.h. Linux 6.7 renumbered them; its waits with a timeout always have 0x40, which
///   earlier kernels never set.
package struct FutexFlags: Equatable, Sendable {
    package var rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    private var isRenumbered: Bool { rawValue & 0x40 != 0 }
    /// Waits on the memory object, not on the address of one process.
    package var isShared: Bool { rawValue & (isRenumbered ? 0x10 : 0x01) != 0 }
    package var isRealtime: Bool { rawValue & (isRenumbered ? 0x20 : 0x02) != 0 }

    /// The bits to add to an operation of futex(2): `FUTEX_PRIVATE_FLAG` 128, `FUTEX_CLOCK_REALTIME` 256.
    package var operationBits: Int32 { (isShared ? 0 : 128) | (isRealtime ? 256 : 0) }
}
