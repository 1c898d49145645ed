/// What fdinfo says about a signalfd: the signals that are read there.
///
/// - Source: proc(5), `/proc/pid/fdinfo`; fs/signalfd.c, `signalfd_show_fdinfo`.
package struct SignalFileState: Equatable, Sendable {
    /// Bit N-1: signal N.
    package var mask: UInt64
}

extension SignalFileState {
    /// Nil unless the lines are those of a signalfd.
    package init?(_ info: DescriptorInfo) {
        for line in info.extra {
            var cursor = ByteCursor(line)
            guard cursor.key() == key("sigmask"), let mask = cursor.hexadecimal() else { continue }
            self.mask = mask
            return
        }
        return nil
    }
}
