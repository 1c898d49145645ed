internal import Kernel

extension FileRecorder {
    /// A line of fdinfo about a lock, in words. Such a line begins with a number and the kind:
    /// `1: POSIX  ADVISORY  WRITE 4711 08:01:123 0 EOF`.
    ///
    /// - Source: fs/locks.c, `lock_get_status`.
    static func refusal(of lock: RawText, on name: String) -> Refusal {
        let words = lock.bytes.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
        let kind = words.count > 1 ? words[1] : ""
        let access = words.count > 3 ? words[3] : ""
        let isWriting = access == "WRITE"
        let range = words.count >= 2 ? words.suffix(2) : []
        let bytes = range.count == 2 ? ", bytes \(range.first ?? "") to \(range.last == "EOF" ? "the end" : range.last ?? "")" : ""
        switch kind {
        case "LEASE", "DELEG":
            return Refusal(
                "holds a lease (F_SETLEASE) for \(isWriting ? "writing" : "reading") on \(name), which cannot be saved yet",
                help: "let the program give it up: fcntl(F_SETLEASE, F_UNLCK)")
        case "FLOCK":
            return Refusal(
                "holds \(isWriting ? "an exclusive" : "a shared") lock by flock(2) on \(name), which cannot be saved yet",
                help: "let the program unlock it (LOCK_UN), or start it without the command flock")
        case "OFDLCK":
            return Refusal(
                "holds a lock of the open file (F_OFD_SETLK) for \(isWriting ? "writing" : "reading") on \(name)\(bytes), which cannot be saved yet",
                help: "let the program unlock it (F_UNLCK)")
        default:
            return Refusal(
                "holds a POSIX lock (F_SETLK, lockf) for \(isWriting ? "writing" : "reading") on \(name)\(bytes), which cannot be saved yet",
                help: "let the program unlock it (F_UNLCK), or close the file")
        }
    }
}
