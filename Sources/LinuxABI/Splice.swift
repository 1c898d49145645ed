/// Flags of splice(2), tee(2), vmsplice(2).
///
/// - Source: linux/splice.h.
package enum Splice {
    package static let SPLICE_F_NONBLOCK: UInt32 = 2
}
