/// What fdinfo says about a pidfd.
///
/// - Source: pidfd_open(2); fs/pidfs.c, `pidfd_show_fdinfo`.
package enum PidFileState {
    /// The process or thread, by its number in the pid namespace of the `/proc` that was read; 0: it has none there, -1: it has ended
    /// and was waited for. Nil: the kernel does not say.
    package static func task(_ info: DescriptorInfo) -> Int32? {
        for line in info.extra {
            var cursor = ByteCursor(line)
            guard cursor.key() == key("Pid") else { continue }
            return cursor.signed().flatMap { Int32(exactly: $0) }
        }
        return nil
    }
}
