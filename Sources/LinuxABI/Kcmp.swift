/// What kcmp(2) compares.
///
/// - Source: linux/kcmp.h.
package enum KcmpType {
    package static let KCMP_FILE: UInt64 = 0
    package static let KCMP_VM: UInt64 = 1
    package static let KCMP_FILES: UInt64 = 2
    package static let KCMP_FS: UInt64 = 3
    package static let KCMP_SIGHAND: UInt64 = 4
    package static let KCMP_IO: UInt64 = 5
    package static let KCMP_SYSVSEM: UInt64 = 6
    package static let KCMP_EPOLL_TFD: UInt64 = 7
}
