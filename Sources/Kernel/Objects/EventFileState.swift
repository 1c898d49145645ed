/// What fdinfo says about an eventfd.
///
/// - Source: proc(5), `/proc/pid/fdinfo`; fs/eventfd.c, `eventfd_show_fdinfo`.
package struct EventFileState: Equatable, Sendable {
    package var count: UInt64 = 0
    /// Nil where the kernel does not say (before 6.5).
    package var isSemaphore: Bool?
}

extension EventFileState {
    /// Nil unless the lines are those of an eventfd.
    package init?(_ info: DescriptorInfo) {
        var count: UInt64?
        for line in info.extra {
            var cursor = ByteCursor(line)
            // `key` compares eight bytes, and both names begin with the same eight.
            if line.starts(with: "eventfd-count:".utf8) {
                _ = cursor.key()
                count = cursor.hexadecimal()
            } else if line.starts(with: "eventfd-semaphore:".utf8) {
                _ = cursor.key()
                isSemaphore = cursor.decimal().map { $0 != 0 }
            }
        }
        guard let count else { return nil }
        self.count = count
    }
}
