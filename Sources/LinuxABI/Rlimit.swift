/// Resources of prlimit(2).
///
/// - Source: asm-generic/resource.h.
package enum Rlimit {
    package static let RLIMIT_CPU: UInt32 = 0
    package static let RLIMIT_FSIZE: UInt32 = 1
    package static let RLIMIT_DATA: UInt32 = 2
    package static let RLIMIT_STACK: UInt32 = 3
    package static let RLIMIT_CORE: UInt32 = 4
    package static let RLIMIT_RSS: UInt32 = 5
    package static let RLIMIT_NPROC: UInt32 = 6
    package static let RLIMIT_NOFILE: UInt32 = 7
    package static let RLIMIT_MEMLOCK: UInt32 = 8
    package static let RLIMIT_AS: UInt32 = 9
    package static let RLIMIT_LOCKS: UInt32 = 10
    package static let RLIMIT_SIGPENDING: UInt32 = 11
    package static let RLIMIT_MSGQUEUE: UInt32 = 12
    package static let RLIMIT_NICE: UInt32 = 13
    package static let RLIMIT_RTPRIO: UInt32 = 14
    package static let RLIMIT_RTTIME: UInt32 = 15

    /// No limit.
    package static let RLIM_INFINITY: UInt64 = 0xffff_ffff_ffff_ffff
}
