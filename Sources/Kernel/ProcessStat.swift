/// The fields of `/proc/PID/stat` that describe a process.
///
/// - Source: proc(5), `/proc/pid/stat`; fs/proc/array.c, `do_task_stat`.
package struct ProcessStat: Equatable, Sendable {
    package var pid: Int32
    /// The task's name, at most 15 bytes (63 for kernel threads). May hold any byte, `)` and line ends too.
    package var comm: [UInt8]
    /// One letter: R, S, D, T (stopped), t (traced), Z, X, I.
    package var state: UInt8
    /// Process that created it or adopted it; 0 where that is outside the pid namespace of this `/proc`.
    package var parent: Int32
    package var group: Int32
    package var session: Int32
    /// Controlling terminal as device number of the old 32-bit layout; 0 without one.
    package var terminal: Int32
    /// Foreground group of that terminal, or -1.
    package var terminalGroup: Int32
    /// `PF_*` bits of the kernel; ``isKernelThread`` reads the stable one.
    package var flags: UInt64
    package var nice: Int32
    package var threadCount: Int
    /// Clock ticks after boot.
    package var startTime: UInt64
    package var codeStart: UInt64
    package var codeEnd: UInt64
    package var stackStart: UInt64
    /// Sent to the parent at the end, usually `SIGCHLD`; -1 for a thread that is not the leader.
    package var exitSignal: Int32
    package var dataStart: UInt64
    package var dataEnd: UInt64
    package var breakStart: UInt64
    package var argumentStart: UInt64
    package var argumentEnd: UInt64
    package var environmentStart: UInt64
    package var environmentEnd: UInt64
    /// As wait(2) reports it. Zero also where the reader may not know.
    package var exitStatus: Int32

    /// `PF_KTHREAD`.
    package var isKernelThread: Bool { flags & 0x0020_0000 != 0 }
    package var isZombie: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }
}

extension ProcessStat {
    /// Reads `/proc/PID/stat`.
    ///
    /// - If the process is gone: throws `ENOENT` or `ESRCH`.
    package init(of pid: Int32) throws(SystemError) {
        try self.init(parsing: try ProcText.stat(of: pid))
    }

    /// Reads `/proc/PID/task/TID/stat`.
    package init(of pid: Int32, task: Int32) throws(SystemError) {
        try self.init(parsing: try readKernelRecord("/proc/\(pid)/task/\(task)/stat", capacity: 1024))
    }

    package init(parsing text: [UInt8]) throws(SystemError) {
        var cursor = ByteCursor(text)
        guard let pid = cursor.decimal(), let comm = Self.comm(in: text, count: text.count) else {
            throw malformed("stat")
        }
        cursor.position = comm.upperBound + 1
        cursor.skipBlanks()
        let state = cursor.next
        cursor.skipWord()

        // Fields by their number in proc(5). The last ones came with Linux 3.5.
        var field = InlineArray<53, UInt64>(repeating: 0)
        var number = 4
        while number <= 52, let value = Self.field(&cursor) {
            field[number] = value
            number += 1
        }
        if number <= 52 { throw malformed("stat, field \(number)") }

        self.init(
            pid: Int32(truncatingIfNeeded: pid),
            comm: Array(text[comm]),
            state: state,
            parent: Int32(truncatingIfNeeded: field[4]),
            group: Int32(truncatingIfNeeded: field[5]),
            session: Int32(truncatingIfNeeded: field[6]),
            terminal: Int32(truncatingIfNeeded: field[7]),
            terminalGroup: Int32(truncatingIfNeeded: field[8]),
            flags: field[9],
            nice: Int32(truncatingIfNeeded: field[19]),
            threadCount: Int(truncatingIfNeeded: field[20]),
            startTime: field[22],
            codeStart: field[26],
            codeEnd: field[27],
            stackStart: field[28],
            exitSignal: Int32(truncatingIfNeeded: field[38]),
            dataStart: field[45],
            dataEnd: field[46],
            breakStart: field[47],
            argumentStart: field[48],
            argumentEnd: field[49],
            environmentStart: field[50],
            environmentEnd: field[51],
            exitStatus: Int32(truncatingIfNeeded: field[52]))
    }

    /// Only the parent's pid of a stat text: what a walk over all processes needs.
    ///
    /// - Parameter count: bytes of the text that count; all by default.
    package static func parent(in text: [UInt8], count: Int? = nil) -> Int32? {
        guard let comm = comm(in: text, count: count ?? text.count) else { return nil }
        var cursor = ByteCursor(text, from: comm.upperBound + 1)
        cursor.skipBlanks()
        cursor.skipWord()
        return cursor.decimal().flatMap { Int32(exactly: $0) }
    }

    /// The bytes between the first `(` and the *last* `)`: no later field holds one.
    private static func comm(in text: [UInt8], count: Int) -> Range<Int>? {
        var first = 0
        while first < count, text[first] != UInt8(ascii: "(") { first += 1 }
        var last = count - 1
        while last > first, text[last] != UInt8(ascii: ")") { last -= 1 }
        return last > first ? first + 1..<last : nil
    }

    /// One number, negative ones as two's complement.
    @inline(__always)
    private static func field(_ cursor: inout ByteCursor) -> UInt64? {
        cursor.skipBlanks()
        if cursor.next == UInt8(ascii: "-") { return cursor.signed().map { UInt64(bitPattern: $0) } }
        return cursor.decimal()
    }
}
