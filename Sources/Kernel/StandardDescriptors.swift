internal import CKernel

/// Descriptors 0, 1 and 2.
///
/// Every program that links `CKernel` has them open: its constructor puts /dev/null where one is closed, before any other
/// code runs. Otherwise the first file that a command opens, for instance its image, would get such a number, and messages
/// would be written into it.
package enum StandardDescriptors {
    /// Whether a descriptor was closed when this process started. Code that is to read or write data there has to refuse.
    package static func wasClosed(_ number: Int32) -> Bool {
        (0...2).contains(number) && ckernel_closed_at_start() >> UInt32(number) & 1 != 0
    }
}
