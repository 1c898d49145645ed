internal import Glibc

/// What `/proc/PID/fdinfo/N` says about an open descriptor.
///
/// - Source: proc(5), `/proc/pid/fdinfo`; fs/proc/fd.c, `seq_show`.
package struct DescriptorInfo: Equatable, Sendable {
    /// File offset in bytes.
    package var position: UInt64 = 0
    /// `O_*` bits of the open file, and `O_CLOEXEC` of the descriptor.
    package var flags: UInt32 = 0
    package var mountID: UInt64 = 0
    /// Nil where the kernel does not say (before 5.14).
    package var inode: UInt64?
    /// File locks of this open file, each line behind `lock:`.
    package var locks: [[UInt8]] = []
    /// All other lines as they are, e.g. `eventfd-count: 3`, `tfd: ...` of an epoll, `inotify wd:...`.
    package var extra: [[UInt8]] = []

    package var isCloseOnExec: Bool { flags & UInt32(O_CLOEXEC) != 0 }
    /// Flags of the open file itself, as `F_SETFL` and open(2) take them.
    package var openFlags: UInt32 { flags & ~UInt32(O_CLOEXEC) }
}

extension DescriptorInfo {
    /// Reads `/proc/PID/fdinfo/N`.
    ///
    /// - If the process or the descriptor is gone: throws `ENOENT` or `ESRCH`.
    package init(of pid: Int32, descriptor: Int32) throws(SystemError) {
        try self.init(parsing: try ProcText.fdinfo(of: pid, descriptor: descriptor))
    }

    package init(parsing text: [UInt8]) throws(SystemError) {
        self.init()
        var cursor = ByteCursor(text)
        var known = 0
        while !cursor.isAtEnd {
            let start = cursor.position
            switch cursor.key() {
            case key("pos"):
                // Some devices show a negative offset.
                guard let value = cursor.signed() else { throw malformed("fdinfo") }
                position = UInt64(bitPattern: value)
                known += 1
            case key("flags"):
                guard let value = cursor.octal() else { throw malformed("fdinfo") }
                flags = UInt32(truncatingIfNeeded: value)
                known += 1
            case key("mnt_id"): mountID = cursor.decimal() ?? 0
            case key("ino"): inode = cursor.decimal()
            case key("lock"):
                cursor.skipBlanks()
                locks.append(Array(cursor.restOfLine()))
                continue
            default:
                cursor.position = start
                let line = cursor.restOfLine()
                if !line.isEmpty { extra.append(Array(line)) }
                continue
            }
            cursor.skipLine()
        }
        guard known == 2 else { throw malformed("fdinfo") }
    }
}
