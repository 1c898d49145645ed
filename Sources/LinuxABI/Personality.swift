/// Execution domain and bug emulation bits of personality(2).
///
/// - Source: linux/personality.h.
package enum PersonalityFlag {
    package static let UNAME26: UInt32 = 0x2_0000
    package static let ADDR_NO_RANDOMIZE: UInt32 = 0x4_0000
    package static let FDPIC_FUNCPTRS: UInt32 = 0x8_0000
    package static let MMAP_PAGE_ZERO: UInt32 = 0x10_0000
    package static let ADDR_COMPAT_LAYOUT: UInt32 = 0x20_0000
    package static let READ_IMPLIES_EXEC: UInt32 = 0x40_0000
    package static let ADDR_LIMIT_32BIT: UInt32 = 0x80_0000
    package static let SHORT_INODE: UInt32 = 0x100_0000
    package static let WHOLE_SECONDS: UInt32 = 0x200_0000
    package static let STICKY_TIMEOUTS: UInt32 = 0x400_0000
    package static let ADDR_LIMIT_3GB: UInt32 = 0x800_0000
    package static let PER_LINUX: UInt32 = 0
    package static let PER_LINUX32: UInt32 = 8
    package static let PER_MASK: UInt32 = 0xff
}
