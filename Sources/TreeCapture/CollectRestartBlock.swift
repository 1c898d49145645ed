internal import ArchState
internal import CheckpointImage
internal import Kernel

extension Collector {
    /// What a thread that was caught asleep would go on with, and for how long.
    ///
    /// Asked of the kernel's own restart block; where that is refused (no CAP_BPF), the arguments of the
    /// call tell the kind and the whole timeout, and the log says so.
    func restartBlock(of tid: Int32, _ registers: X86GeneralRegisters) throws(SystemError) -> ImageRestartBlock {
        if restartProbe == nil && !restartProbeRefused {
            do throws(SystemError) { restartProbe = try RestartBlockProbe.open() } catch {
                restartProbeRefused = true
                log("cannot read restart blocks: \(error.name): interrupted sleeps begin anew with their whole time")
            }
        }
        if let probe = restartProbe, let block = try? probe.read(task: tid), let image = known(block) { return image }
        return try fromArguments(tid, registers)
    }

    private func known(_ block: RestartBlock) -> ImageRestartBlock? {
        var image = ImageRestartBlock()
        image.source = .kernel
        image.hasTimeout_p = true
        func remaining(_ clock: Int32, _ until: Int64) -> UInt64 {
            stamp.left(until: until, on: SystemClock(rawValue: clock) ?? .monotonic)
        }
        switch block {
        case .nanosleep(let clock, let address, _, let expires):
            image.kind = .nanosleep
            image.clock = UInt32(clock)
            image.userAddress = address
            image.remaining = remaining(clock, expires)
        case .cpuNanosleep:
            return nil
        case .poll(let address, let count, let deadline):
            image.kind = .poll
            image.userAddress = address
            image.count = UInt64(count)
            image.hasTimeout_p = deadline != nil
            if let deadline { image.remaining = remaining(1, deadline) }
        case .futex(let address, let value, let flags, let bits, let expires):
            image.kind = .futex
            image.userAddress = address
            image.count = UInt64(value)
            image.flags = UInt32(bitPattern: flags.operationBits)
            image.bits = bits
            image.remaining = remaining(flags.isRealtime ? 0 : 1, expires)
        case .none, .unknown:
            return nil
        }
        return image
    }

    /// From the registers of the call and what they point to.
    private func fromArguments(_ tid: Int32, _ registers: X86GeneralRegisters) throws(SystemError) -> ImageRestartBlock {
        var image = ImageRestartBlock()
        image.source = .arguments
        image.hasTimeout_p = true
        func time(at address: UInt64) -> UInt64 {
            let seconds = RemoteMemory.word(tid, at: address) ?? 0
            let nanoseconds = RemoteMemory.word(tid, at: address &+ 8) ?? 0
            return seconds &* 1_000_000_000 &+ nanoseconds
        }
        switch registers.originalRAX {
        case 35:  // nanosleep
            image.kind = .nanosleep
            image.clock = 1
            image.userAddress = registers.rsi
            image.remaining = time(at: registers.rdi)
        case 230:  // clock_nanosleep
            image.kind = registers.rdi <= 1 || registers.rdi == 7 || registers.rdi == 11 ? .nanosleep : .cpuNanosleep
            image.clock = registers.rdi == 0 ? 1 : UInt32(truncatingIfNeeded: registers.rdi)
            image.userAddress = registers.r10
            image.remaining = time(at: registers.rdx)
        case 7:  // poll
            image.kind = .poll
            image.userAddress = registers.rdi
            image.count = registers.rsi
            let milliseconds = Int32(truncatingIfNeeded: registers.rdx)
            image.hasTimeout_p = milliseconds >= 0
            image.remaining = UInt64(max(0, milliseconds)) * 1_000_000
        case 202:  // futex
            image.kind = .futex
            image.userAddress = registers.rdi
            image.count = registers.rdx & 0xffff_ffff
            image.flags = UInt32(truncatingIfNeeded: registers.rsi) & 0x180
            let waitBits = registers.rsi & 0x7f == 9
            image.bits = waitBits ? UInt32(truncatingIfNeeded: registers.r9) : UInt32.max
            var left = time(at: registers.r10)
            if waitBits {
                let deadline = Int64(bitPattern: left)
                left =
                    registers.rsi & 256 != 0
                    ? stamp.left(until: deadline, on: .realtime)
                    : stamp.left(until: deadline &- (timeNamespace?.offsets.monotonic ?? 0), on: .monotonic)
            }
            image.remaining = left
        default:
            image.kind = .unknown
        }
        return image
    }
}
