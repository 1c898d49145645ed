/// Advice of madvise(2).
///
/// - Source: asm-generic/mman-common.h.
package enum Madvise {
    package static let MADV_NORMAL: UInt64 = 0
    package static let MADV_RANDOM: UInt64 = 1
    package static let MADV_SEQUENTIAL: UInt64 = 2
    package static let MADV_WILLNEED: UInt64 = 3
    package static let MADV_DONTNEED: UInt64 = 4
    package static let MADV_FREE: UInt64 = 8
    package static let MADV_REMOVE: UInt64 = 9
    package static let MADV_DONTFORK: UInt64 = 10
    package static let MADV_DOFORK: UInt64 = 11
    package static let MADV_MERGEABLE: UInt64 = 12
    package static let MADV_UNMERGEABLE: UInt64 = 13
    package static let MADV_HUGEPAGE: UInt64 = 14
    package static let MADV_NOHUGEPAGE: UInt64 = 15
    package static let MADV_DONTDUMP: UInt64 = 16
    package static let MADV_DODUMP: UInt64 = 17
    package static let MADV_WIPEONFORK: UInt64 = 18
    package static let MADV_KEEPONFORK: UInt64 = 19
    package static let MADV_COLD: UInt64 = 20
    package static let MADV_PAGEOUT: UInt64 = 21
    package static let MADV_POPULATE_READ: UInt64 = 22
    package static let MADV_POPULATE_WRITE: UInt64 = 23
    package static let MADV_DONTNEED_LOCKED: UInt64 = 24
    package static let MADV_COLLAPSE: UInt64 = 25
    package static let MADV_HWPOISON: UInt64 = 100
    package static let MADV_GUARD_INSTALL: UInt64 = 102
    package static let MADV_GUARD_REMOVE: UInt64 = 103
}
