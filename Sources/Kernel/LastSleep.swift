internal import CKernel
internal import Glibc

/// The call that a task sleeps in, and since when, as `/proc` tells it. Used where BPF is not permitted.
///
/// - Source: proc(5), `/proc/pid/syscall` and `/proc/pid/sched`.
package struct LastSleep: Equatable, Sendable {
    /// Number, six arguments, program counter, stack pointer: as ``SleepTimer/call``.
    package var call: [UInt64]
    /// Point in time on the monotonic clock at which it ran last. Processor time that went to interrupts since
    /// then makes this look later than it was, never earlier by more than microseconds.
    package var since: Int64
    /// See ``SleepTimer/sleeps``.
    package var sleeps: UInt64

    /// Looks at a task; nil if it is in no call, runs, or cannot be looked at.
    ///
    /// The time of the last run is a reading of its processor's own clock, see ``ProcessorClocks``.
    package init?(of tid: Int32, _ clocks: inout ProcessorClocks) {
        guard let status = try? TaskStatus(of: tid), status.state == UInt8(ascii: "S"),
            let sleeps = status.voluntarySwitches,
            let call = (try? readKernelRecord("/proc/\(tid)/syscall", capacity: 256)).flatMap(Self.parseCall),
            let last = (try? readKernelRecord("/proc/\(tid)/sched")).flatMap(Self.parseLastRun),
            let processor = (try? readKernelRecord("/proc/\(tid)/stat", capacity: 1024)).flatMap(Self.parseProcessor),
            let difference = clocks.monotonicAhead(of: processor)
        else { return nil }
        self.call = call
        self.sleeps = sleeps
        since = last &+ difference
    }

    /// The call that a task is in; empty if it runs or is in none. Nil: it cannot be told.
    package static func call(of tid: Int32) -> [UInt64]? {
        guard let text = try? readKernelRecord("/proc/\(tid)/syscall", capacity: 256) else { return nil }
        if let call = parseCall(text) { return call }
        return text.starts(with: "running".utf8) || text.starts(with: "-1 ".utf8) ? [] : nil
    }

    /// `number 0xarguments... 0xsp 0xpc`; nil for `running` and for a task outside of calls (number -1).
    static func parseCall(_ text: [UInt8]) -> [UInt64]? {
        let words = String(decoding: text, as: UTF8.self).split(whereSeparator: { $0 == " " || $0 == "\n" })
        guard words.count == 9, let number = UInt64(words[0]) else { return nil }
        let values = words.dropFirst().compactMap { UInt64($0.dropFirst(2), radix: 16) }
        guard values.count == 8 else { return nil }
        return [number] + values[0..<6] + [values[7], values[6]]
    }

    /// `se.exec_start : milliseconds.nanoseconds`
    static func parseLastRun(_ text: [UInt8]) -> Int64? {
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") where line.hasPrefix("se.exec_start") {
            guard let value = line.split(separator: ":").last?.split(separator: " ").first else { return nil }
            let parts = value.split(separator: ".")
            guard parts.count == 2, parts[1].count == 6, let whole = Int64(parts[0]), let rest = Int64(parts[1])
            else { return nil }
            return whole &* 1_000_000 &+ rest
        }
        return nil
    }

    /// Field 39 of `/proc/pid/stat`.
    static func parseProcessor(_ text: [UInt8]) -> Int? {
        guard let end = text.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let words = String(decoding: text[(end + 1)...], as: UTF8.self).split(separator: " ")
        return words.count > 36 ? Int(words[36]) : nil
    }
}

/// How the clocks by which processors note the last run of a task differ from the monotonic clock.
///
/// A comparison is kept for a tenth of a second: in that time the monotonic clock is adjusted by 50 microseconds at most (500 ppm,
/// adjtimex(2)). On a busy machine a comparison takes milliseconds, and a tree has thousands of threads.
package struct ProcessorClocks {
    private static let lifetime: Int64 = 100_000_000
    private var known: [Int: (difference: Int64, at: Int64)] = [:]

    package init() {}

    /// The monotonic clock minus the scheduler's clock of one processor; nil if we may not go there.
    mutating func monotonicAhead(of processor: Int) -> Int64? {
        let now = SystemClock.monotonic.now()
        if let known = known[processor], now - known.at < Self.lifetime { return known.difference }
        guard let difference = Self.compare(processor) else { return nil }
        known[processor] = (difference, now)
        return difference
    }

    /// This thread goes to that processor, compares that clock with the monotonic one, and comes back.
    @inline(never)
    private static func compare(_ processor: Int) -> Int64? {
        guard let home = try? affinity(of: 0), processor < home.count * 8 else { return nil }
        var there = [UInt8](repeating: 0, count: home.count)
        there[processor / 8] = 1 << UInt8(processor % 8)
        guard setAffinity(there) else { return nil }
        defer { _ = setAffinity(home) }
        var best: (window: Int64, difference: Int64)?
        for _ in 0..<8 {
            let before = SystemClock.monotonic.now()
            // Brings our own time of the last run up to date.
            _ = ckernel_syscall(Int(SYS_sched_yield), 0, 0, 0, 0, 0, 0)
            let after = SystemClock.monotonic.now()
            guard let own = (try? readKernelText("/proc/thread-self/sched")).flatMap(LastSleep.parseLastRun) else { return nil }
            let window = SystemClock.monotonic.now() - before
            if best == nil || window < best!.window { best = (window, before + (after - before) / 2 - own) }
        }
        return best?.difference
    }

    private static func setAffinity(_ mask: [UInt8]) -> Bool {
        let result = unsafe mask.withUnsafeBytes { buffer in
            ckernel_syscall(
                Int(SYS_sched_setaffinity), 0, buffer.count, Int(bitPattern: buffer.baseAddress), 0, 0, 0)
        }
        return result == 0
    }
}
