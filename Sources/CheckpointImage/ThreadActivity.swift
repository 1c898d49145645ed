internal import ArchState

/// What a thread was doing when the tree was stopped, as `crimage threads` lists it.
///
/// `running`, `in read of descriptor 3`, `in poll on 2 descriptors, 3.20 s left`.
package struct ThreadActivity: Equatable, Sendable, CustomStringConvertible {
    /// Name of the system call that it was in; nil: it ran its own code.
    package var call: String?
    /// The objects of the call: `2 descriptors`, `descriptor 3`; empty where the call has none.
    package var object = ""
    /// Nanoseconds after which the call would have ended by itself; nil: it has no limit.
    package var left: UInt64?
    /// Whether `left` is processor time.
    package var isProcessorTime = false
    package var hasExited = false

    package var description: String {
        if hasExited { return "has exited" }
        guard let call else { return "running" }
        var text = "in \(call)"
        if !object.isEmpty { text += " \(object)" }
        if let left {
            text += ", \(Self.seconds(left)) \(isProcessorTime ? "of processor time " : "")left"
        }
        return text
    }

    package init(of thread: ImageThread) {
        if thread.hasExited_p {
            hasExited = true
            return
        }
        let records = thread.cpu.map { CPURecord(feature: $0.feature, body: $0.body.asBytes) }
        guard let registers = (try? CPUState(records: records))?.general else {
            takeNumber(of: thread, isARM64: records.first?.feature == UInt32(CPUFeature.armGeneral.rawValue))
            return
        }
        guard registers.interruptedCall != .none,
            let interrupted = registers.systemCall(is32Bit: thread.callIs32Bit || registers.is32Bit)
        else { return }
        call = interrupted.name ?? "system call \(interrupted.number)"
        if thread.hasRestartBlock {
            take(thread.restartBlock, isRestarted: interrupted.isRestart)
        } else {
            if thread.hasTimeout { left = thread.timeout.remaining }
            object = Self.object(of: interrupted)
        }
    }

    /// On other architectures than x86 the registers do not tell the interrupted call; its number is in the image.
    private mutating func takeNumber(of thread: ImageThread, isARM64: Bool) {
        guard thread.call >= 0, let number = Int(exactly: thread.call) else { return }
        call = (isARM64 ? SystemCallNumbers.ARM64.name(number) : nil) ?? "system call \(number)"
        if thread.hasRestartBlock {
            take(thread.restartBlock, isRestarted: isARM64 && call == "restart_syscall")
        } else if thread.hasTimeout {
            left = thread.timeout.remaining
        }
    }

    /// Takes the restart block. After `restart_syscall` only the block tells which call was interrupted.
    private mutating func take(_ block: ImageRestartBlock, isRestarted: Bool) {
        if block.hasTimeout_p { left = block.remaining }
        switch block.kind {
        case .nanosleep:
            if isRestarted { call = "nanosleep" }
        case .cpuNanosleep:
            if isRestarted { call = "clock_nanosleep" }
            isProcessorTime = true
        case .poll:
            if isRestarted { call = "poll" }
            object = Self.descriptors(block.count)
        case .futex:
            if isRestarted { call = "futex" }
        case .unknown, .UNRECOGNIZED: break
        }
    }

    private static func object(of call: X86Call) -> String {
        switch call.native {
        case SystemCallNumbers.ppoll: descriptors(call.arguments[1])
        case SystemCallNumbers.epoll_wait, SystemCallNumbers.epoll_pwait, SystemCallNumbers.epoll_pwait2,
            SystemCallNumbers.read, SystemCallNumbers.readv, SystemCallNumbers.write, SystemCallNumbers.writev,
            SystemCallNumbers.recvfrom, SystemCallNumbers.recvmsg, SystemCallNumbers.recvmmsg,
            SystemCallNumbers.sendto, SystemCallNumbers.sendmsg, SystemCallNumbers.sendmmsg,
            SystemCallNumbers.accept, SystemCallNumbers.accept4, SystemCallNumbers.connect,
            SystemCallNumbers.flock, SystemCallNumbers.fcntl, SystemCallNumbers.ioctl,
            SystemCallNumbers.mq_timedsend, SystemCallNumbers.mq_timedreceive:
            "of descriptor \(Int32(truncatingIfNeeded: call.arguments[0]))"
        default: ""
        }
    }

    private static func descriptors(_ count: UInt64) -> String { "on \(count) descriptor\(count == 1 ? "" : "s")" }

    /// Two decimals.
    private static func seconds(_ nanoseconds: UInt64) -> String {
        let hundredths = nanoseconds / 10_000_000
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest) s"
    }
}
