internal import CKernel
internal import Glibc
internal import LinuxABI

/// What fdinfo says about a timerfd. Times in nanoseconds.
///
/// - Source: proc(5), `/proc/pid/fdinfo`; fs/timerfd.c, `timerfd_show`.
package struct TimerFileState: Equatable, Sendable {
    package var clock: UInt32 = 0
    /// Expirations that no read(2) has fetched yet.
    package var expirations: UInt64 = 0
    /// `TFD_TIMER_*` bits of timerfd_settime(2).
    package var flags: UInt32 = 0
    /// To the next expiration; 0: not armed.
    package var remaining: UInt64 = 0
    package var interval: UInt64 = 0
}

extension TimerFileState {
    /// Nil unless the lines are those of a timerfd.
    package init?(_ info: DescriptorInfo) {
        var known = 0
        for line in info.extra {
            var cursor = ByteCursor(line)
            switch cursor.key() {
            case key("clockid"):
                guard let value = cursor.decimal() else { return nil }
                clock = UInt32(truncatingIfNeeded: value)
                known += 1
            case key("ticks"):
                guard let value = cursor.decimal() else { return nil }
                expirations = value
                known += 1
            case key("settime flags"):
                guard let value = cursor.octal() else { return nil }
                flags = UInt32(truncatingIfNeeded: value)
                known += 1
            case key("it_value"):
                guard let value = Self.time(&cursor) else { return nil }
                remaining = value
                known += 1
            case key("it_interval"):
                guard let value = Self.time(&cursor) else { return nil }
                interval = value
                known += 1
            default: continue
            }
        }
        guard known == 5 else { return nil }
    }

    /// `(seconds, nanoseconds)`
    private static func time(_ cursor: inout ByteCursor) -> UInt64? {
        cursor.skipBlanks()
        guard cursor.skip(UInt8(ascii: "(")), let seconds = cursor.decimal(), cursor.skip(UInt8(ascii: ",")),
            let nanoseconds = cursor.decimal()
        else { return nil }
        let (product, tooMuch) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return tooMuch ? nil : product &+ nanoseconds
    }

    /// Reads the state of a timerfd of another process.
    ///
    /// A periodic timer that has expired is not started again by the kernel until read(2) or timerfd_gettime(2) is
    /// called, and fdinfo shows it as disarmed meanwhile. This function therefore calls timerfd_gettime(2) on a copy
    /// of the descriptor first: the kernel adds the missed expirations and starts the timer. Programs see no
    /// difference, because their next read(2) would have done the same. If the timer expires again before fdinfo is
    /// read, it looks disarmed again: then both steps are repeated.
    ///
    /// - Source: fs/timerfd.c, `do_timerfd_gettime`, `timerfd_show`.
    package static func read(of pid: Int32, descriptor: Int32) throws(SystemError) -> TimerFileState? {
        let copy = try Descriptor.open(task: pid).duplicate(remote: descriptor)
        var disarmedLooks = 0
        var counted: UInt64?
        for _ in 0..<32 {
            let isArmed = try isArmed(copy.number)
            guard let state = TimerFileState(try DescriptorInfo(of: pid, descriptor: descriptor)) else { return nil }
            if state.interval == 0 || state.remaining != 0 { return state }
            // An armed timer shows 0 for a moment before it expires, too; its count then grows in the next look.
            let standsStill = !isArmed && counted == state.expirations
            counted = state.expirations
            disarmedLooks = standsStill ? disarmedLooks + 1 : 0
            if disarmedLooks == 3 { return state }
        }
        // Its interval is shorter than one look takes: every look finds it just expired.
        guard var state = TimerFileState(try DescriptorInfo(of: pid, descriptor: descriptor)) else { return nil }
        if state.remaining == 0 { state.remaining = state.interval }
        return state
    }

    @inline(never)
    private static func isArmed(_ timer: Int32) throws(SystemError) -> Bool {
        try FaultPoint.timerfdGettime.pass("timerfd_gettime")
        var value = itimerspec()
        let asked = unsafe withUnsafeMutablePointer(to: &value) { pointer in
            ckernel_syscall(Int(SYS_timerfd_gettime), Int(timer), Int(bitPattern: pointer), 0, 0, 0, 0)
        }
        _ = try SystemError.check(asked, "timerfd_gettime")
        return value.it_value.tv_sec != 0 || value.it_value.tv_nsec != 0
    }

    /// Whether this kernel lets the count of expirations be set (CONFIG_CHECKPOINT_RESTORE).
    @inline(never)
    package static func maySetExpirations() -> Bool {
        let result = ckernel_syscall(Int(SYS_timerfd_create), Int(CLOCK_MONOTONIC), Int(O_CLOEXEC), 0, 0, 0, 0)
        guard result >= 0 else { return false }
        let timer = Descriptor(owning: Int32(result))
        var one: UInt64 = 1
        let set = unsafe withUnsafeMutablePointer(to: &one) { pointer in
            ckernel_syscall(Int(SYS_ioctl), Int(timer.number), Int(Ioctl.TFD_IOC_SET_TICKS), Int(bitPattern: pointer), 0, 0, 0)
        }
        return set == 0
    }
}
