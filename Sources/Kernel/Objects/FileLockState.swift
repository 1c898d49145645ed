/// A file lock, as a line of `/proc/locks` or `lock:` of `/proc/PID/fdinfo/N` tells of it:
/// `1: POSIX  ADVISORY  WRITE 4711 08:01:123 0 EOF`, `2: -> FLOCK  ADVISORY  READ 4711 08:01:123 0 EOF`,
/// `3: LEASE  ACTIVE    READ 4711 08:01:123 0 EOF`.
///
/// - Source: proc(5), `/proc/locks`; fs/locks.c, `lock_get_status`.
package struct FileLockState: Hashable, Sendable {
    package enum Kind: Hashable, Sendable { case flock, posix, openFile, lease, delegation }

    package var kind: Kind
    package var isWrite: Bool
    /// Of a lease: another process has opened the file, and the holder has been told to give it up.
    package var isBreaking = false
    /// A thread waits for it and does not hold it.
    package var isWaiting = false
    /// The first byte.
    package var start: UInt64
    /// The last byte; nil: it has no end.
    package var last: UInt64?
    /// Who took it; -1: not known.
    package var pid: Int32
    /// Of the file system.
    package var major: UInt64
    package var minor: UInt64
    package var inode: UInt64

    /// Nil: the line is of another shape.
    package init?(parsing line: some Sequence<UInt8>) {
        var words = line.split(separator: .blank).map { String(decoding: $0, as: UTF8.self) }[...]
        guard words.popFirst()?.last == ":" else { return nil }
        if words.first == "->" {
            isWaiting = true
            words.removeFirst()
        }
        guard words.count == 7 else { return nil }
        let fields = Array(words)
        switch fields[0] {
        case "FLOCK": kind = .flock
        case "POSIX": kind = .posix
        case "OFDLCK": kind = .openFile
        case "LEASE": kind = .lease
        case "DELEG": kind = .delegation
        default: return nil
        }
        isBreaking = fields[1] == "BREAKING" || fields[1] == "BREAKER"
        isWrite = fields[2] == "WRITE"
        let place = fields[4].split(separator: ":")
        guard let pid = Int32(fields[3]), place.count == 3, let major = UInt64(place[0], radix: 16),
            let minor = UInt64(place[1], radix: 16), let inode = UInt64(place[2]), let start = UInt64(fields[5])
        else { return nil }
        (self.pid, self.major, self.minor, self.inode, self.start) = (pid, major, minor, inode, start)
        last = UInt64(fields[6])
        if last == nil && fields[6] != "EOF" { return nil }
    }

    /// All locks of this host whose holders the `/proc` of this process shows.
    package static func all() throws(SystemError) -> [FileLockState] {
        try readKernelText("/proc/locks", capacity: 1 << 14).split(separator: .newline).compactMap { FileLockState(parsing: $0) }
    }
}
