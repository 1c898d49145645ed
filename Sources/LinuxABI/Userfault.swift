/// Page faults that another process answers.
///
/// - Source: linux/userfaultfd.h.
package enum Userfault {
    /// The flag of userfaultfd(2) that needs no privilege: it serves no accesses of the kernel's own.
    package static let UFFD_USER_MODE_ONLY: UInt64 = 1
    package static let UFFD_API: UInt64 = 0xaa
    package static let UFFD_FEATURE_EVENT_FORK: UInt64 = 0x2
    package static let UFFD_FEATURE_EVENT_REMAP: UInt64 = 0x4
    package static let UFFD_FEATURE_EVENT_REMOVE: UInt64 = 0x8
    package static let UFFD_FEATURE_EVENT_UNMAP: UInt64 = 0x40
    /// Linux 6.7
    package static let UFFD_FEATURE_WP_ASYNC: UInt64 = 0x8000
    package static let UFFD_EVENT_PAGEFAULT: UInt8 = 0x12
    package static let UFFD_EVENT_FORK: UInt8 = 0x13
    package static let UFFD_EVENT_REMAP: UInt8 = 0x14
    package static let UFFD_EVENT_REMOVE: UInt8 = 0x15
    package static let UFFD_EVENT_UNMAP: UInt8 = 0x16
    package static let UFFDIO_REGISTER_MODE_MISSING: UInt64 = 1
    package static let UFFDIO_REGISTER_MODE_WP: UInt64 = 2
}
