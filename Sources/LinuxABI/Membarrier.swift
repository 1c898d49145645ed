/// Commands of membarrier(2).
///
/// - Source: linux/membarrier.h.
package enum Membarrier {
    package static let MEMBARRIER_CMD_QUERY: UInt64 = 0
    package static let MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED: UInt64 = 4
    package static let MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: UInt64 = 16
    package static let MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: UInt64 = 64
    package static let MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ: UInt64 = 256
    /// Since Linux 6.3: a mask of the four above.
    package static let MEMBARRIER_CMD_GET_REGISTRATIONS: UInt64 = 512

    package static let registrations = [
        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ,
    ]
}
