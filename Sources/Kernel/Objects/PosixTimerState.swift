internal import CKernel
internal import LinuxABI

/// What `/proc/PID/timers` says about one POSIX timer. The time of its next expiration is not among it: only a
/// thread of its process can ask, by timer_gettime(2).
///
/// - Source: proc(5), `/proc/pid/timers`; fs/proc/base.c, `show_timer`.
package struct PosixTimerState: Equatable, Sendable {
    package enum Notify: Equatable, Sendable {
        case signal, none
        /// tid, as this `/proc` sees it.
        case thread(Int32)
    }

    package var id: UInt32
    /// Of a timer without notification: what the program had there.
    package var signal: UInt32
    package var value: UInt64
    package var notify: Notify
    /// Negative: CPU time, with the number of its task as the program gave it.
    package var clock: Int32
}

extension PosixTimerState {
    /// All timers of a process, by ascending id.
    package static func all(of pid: Int32) throws(SystemError) -> [PosixTimerState] {
        return try parse(try ProcText.timers(of: pid))
    }

    package static func parse(_ text: [UInt8]) throws(SystemError) -> [PosixTimerState] {
        var timers: [PosixTimerState] = []
        var cursor = ByteCursor(text)
        func wrong() -> SystemError { malformed("/proc/pid/timers") }
        while !cursor.isAtEnd {
            guard cursor.key() == key("ID"), let id = cursor.decimal() else { throw wrong() }
            cursor.skipLine()
            guard cursor.key() == key("signal"), let signal = cursor.signed(), cursor.skip(UInt8(ascii: "/")),
                let value = cursor.hexadecimal()
            else { throw wrong() }
            cursor.skipLine()
            // signal/pid.N, none/pid.N, thread/pid.N, or with tid.N
            guard cursor.key() == key("notify") else { throw wrong() }
            cursor.skipBlanks()
            let words = Array(cursor.restOfLine())
            guard let slash = words.firstIndex(of: UInt8(ascii: "/")), let dot = words.lastIndex(of: UInt8(ascii: "."))
            else { throw wrong() }
            var number = ByteCursor(words, from: dot + 1)
            guard let task = number.decimal().flatMap({ Int32(exactly: $0) }) else { throw wrong() }
            let notify: Notify =
                words[..<slash].elementsEqual("none".utf8)
                ? .none : words[slash...].starts(with: "/tid".utf8) ? .thread(task) : .signal
            guard cursor.key() == key("ClockID"), let clock = cursor.signed().flatMap({ Int32(exactly: $0) })
            else { throw wrong() }
            cursor.skipLine()
            timers.append(
                PosixTimerState(
                    id: UInt32(truncatingIfNeeded: id), signal: UInt32(truncatingIfNeeded: signal), value: value,
                    notify: notify, clock: clock))
        }
        return timers.sorted { $0.id < $1.id }
    }

    /// Whether a timer's id can be chosen: `PR_TIMER_CREATE_RESTORE_IDS`, since Linux 6.15.
    package static func mayChooseID() -> Bool {
        ckernel_prctl(Int(Prctl.PR_TIMER_CREATE_RESTORE_IDS), Int(Prctl.PR_TIMER_CREATE_RESTORE_IDS_GET), 0, 0, 0) >= 0
    }
}
