/// Protection of pages, mmap(2) and mprotect(2).
///
/// - Source: asm-generic/mman-common.h.
package enum Protection {
    package static let PROT_NONE: UInt64 = 0
    package static let PROT_READ: UInt64 = 1
    package static let PROT_WRITE: UInt64 = 2
    package static let PROT_EXEC: UInt64 = 4
    package static let PROT_SEM: UInt64 = 8
    package static let PROT_GROWSDOWN: UInt64 = 0x100_0000
    package static let PROT_GROWSUP: UInt64 = 0x200_0000
}

/// Flags of mmap(2).
///
/// - Source: asm-generic/mman.h; MAP_32BIT and MAP_ABOVE4G: x86.
package enum Mmap {
    package static let MAP_SHARED: UInt64 = 1
    package static let MAP_PRIVATE: UInt64 = 2
    package static let MAP_SHARED_VALIDATE: UInt64 = 3
    package static let MAP_DROPPABLE: UInt64 = 8
    package static let MAP_TYPE: UInt64 = 0xf
    package static let MAP_FIXED: UInt64 = 0x10
    package static let MAP_ANONYMOUS: UInt64 = 0x20
    package static let MAP_32BIT: UInt64 = 0x40
    package static let MAP_ABOVE4G: UInt64 = 0x80
    package static let MAP_GROWSDOWN: UInt64 = 0x100
    package static let MAP_DENYWRITE: UInt64 = 0x800
    package static let MAP_EXECUTABLE: UInt64 = 0x1000
    package static let MAP_LOCKED: UInt64 = 0x2000
    package static let MAP_NORESERVE: UInt64 = 0x4000
    package static let MAP_POPULATE: UInt64 = 0x8000
    package static let MAP_NONBLOCK: UInt64 = 0x1_0000
    package static let MAP_STACK: UInt64 = 0x2_0000
    package static let MAP_HUGETLB: UInt64 = 0x4_0000
    /// With it, the size of the pages: its logarithm, shifted by this. Likewise for memfd_create(2), shmget(2).
    package static let MAP_HUGE_SHIFT: UInt64 = 26
    package static let MAP_SYNC: UInt64 = 0x8_0000
    package static let MAP_FIXED_NOREPLACE: UInt64 = 0x10_0000
    package static let MAP_UNINITIALIZED: UInt64 = 0x400_0000
}

/// Flags of mremap(2).
///
/// - Source: linux/mman.h.
package enum Mremap {
    package static let MREMAP_MAYMOVE: UInt64 = 1
    package static let MREMAP_FIXED: UInt64 = 2
    package static let MREMAP_DONTUNMAP: UInt64 = 4
}

/// Flags of msync(2).
///
/// - Source: asm-generic/mman-common.h.
package enum Msync {
    package static let MS_ASYNC: UInt64 = 1
    package static let MS_INVALIDATE: UInt64 = 2
    package static let MS_SYNC: UInt64 = 4
}

/// Flags of mlock2(2) and mlockall(2).
///
/// - Source: asm-generic/mman.h.
package enum Mlock {
    package static let MLOCK_ONFAULT: UInt64 = 1
    package static let MCL_CURRENT: UInt64 = 1
    package static let MCL_FUTURE: UInt64 = 2
    package static let MCL_ONFAULT: UInt64 = 4
}
