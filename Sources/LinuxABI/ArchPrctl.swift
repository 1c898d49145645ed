/// Operations of arch_prctl(2), x86.
///
/// - Source: asm/prctl.h.
package enum ArchPrctl {
    package static let ARCH_SET_GS: UInt64 = 0x1001
    package static let ARCH_SET_FS: UInt64 = 0x1002
    package static let ARCH_GET_FS: UInt64 = 0x1003
    package static let ARCH_GET_GS: UInt64 = 0x1004
    package static let ARCH_GET_CPUID: UInt64 = 0x1011
    package static let ARCH_SET_CPUID: UInt64 = 0x1012
    package static let ARCH_GET_XCOMP_SUPP: UInt64 = 0x1021
    package static let ARCH_GET_XCOMP_PERM: UInt64 = 0x1022
    package static let ARCH_REQ_XCOMP_PERM: UInt64 = 0x1023
    package static let ARCH_GET_XCOMP_GUEST_PERM: UInt64 = 0x1024
    package static let ARCH_REQ_XCOMP_GUEST_PERM: UInt64 = 0x1025
    package static let ARCH_XCOMP_TILECFG: UInt64 = 0x11
    package static let ARCH_XCOMP_TILEDATA: UInt64 = 0x12
    package static let ARCH_MAP_VDSO_X32: UInt64 = 0x2001
    package static let ARCH_MAP_VDSO_32: UInt64 = 0x2002
    package static let ARCH_MAP_VDSO_64: UInt64 = 0x2003
    package static let ARCH_GET_UNTAG_MASK: UInt64 = 0x4001
    package static let ARCH_ENABLE_TAGGED_ADDR: UInt64 = 0x4002
    package static let ARCH_GET_MAX_TAG_BITS: UInt64 = 0x4003
    package static let ARCH_FORCE_TAGGED_SVA: UInt64 = 0x4004
    package static let ARCH_SHSTK_ENABLE: UInt64 = 0x5001
    package static let ARCH_SHSTK_DISABLE: UInt64 = 0x5002
    package static let ARCH_SHSTK_LOCK: UInt64 = 0x5003
    package static let ARCH_SHSTK_UNLOCK: UInt64 = 0x5004
    package static let ARCH_SHSTK_STATUS: UInt64 = 0x5005
    package static let ARCH_SHSTK_SHSTK: UInt64 = 1
    package static let ARCH_SHSTK_WRSS: UInt64 = 2
}
