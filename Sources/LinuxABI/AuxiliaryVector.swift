/// Types of entries of the auxiliary vector, getauxval(3).
///
/// - Source: linux/auxvec.h, asm/auxvec.h.
package enum AuxiliaryVector {
    package static let AT_NULL: UInt64 = 0
    package static let AT_IGNORE: UInt64 = 1
    package static let AT_EXECFD: UInt64 = 2
    package static let AT_PHDR: UInt64 = 3
    package static let AT_PHENT: UInt64 = 4
    package static let AT_PHNUM: UInt64 = 5
    package static let AT_PAGESZ: UInt64 = 6
    package static let AT_BASE: UInt64 = 7
    package static let AT_FLAGS: UInt64 = 8
    package static let AT_ENTRY: UInt64 = 9
    package static let AT_NOTELF: UInt64 = 10
    package static let AT_UID: UInt64 = 11
    package static let AT_EUID: UInt64 = 12
    package static let AT_GID: UInt64 = 13
    package static let AT_EGID: UInt64 = 14
    package static let AT_PLATFORM: UInt64 = 15
    package static let AT_HWCAP: UInt64 = 16
    package static let AT_CLKTCK: UInt64 = 17
    package static let AT_SECURE: UInt64 = 23
    package static let AT_BASE_PLATFORM: UInt64 = 24
    package static let AT_RANDOM: UInt64 = 25
    package static let AT_HWCAP2: UInt64 = 26
    package static let AT_RSEQ_FEATURE_SIZE: UInt64 = 27
    package static let AT_RSEQ_ALIGN: UInt64 = 28
    package static let AT_HWCAP3: UInt64 = 29
    package static let AT_HWCAP4: UInt64 = 30
    package static let AT_EXECFN: UInt64 = 31
    package static let AT_SYSINFO: UInt64 = 32
    package static let AT_SYSINFO_EHDR: UInt64 = 33
    package static let AT_MINSIGSTKSZ: UInt64 = 51
}
