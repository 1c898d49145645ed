internal import CheckpointImage
internal import Kernel
internal import LinuxABI

// Values of the sight and of the answers in the words of the image.

extension Recorder {
    /// - Parameter nice: as `/proc/PID/stat` has it. Under a real-time policy sched_getattr(2) tells none, and yet there is one.
    static func record(_ seen: SchedulingSight, nice: Int32, usualSlice: UInt64) -> ImageScheduling {
        let policy = seen.policy
        var record = ImageScheduling()
        record.policy = policy.policy
        record.flags = policy.flags
        record.nice = nice
        record.priority = policy.priority
        // A policy without deadlines tells its time slice there: worth saving only if a program has chosen it.
        record.runtime = policy.policy != SchedulingClass.SCHED_DEADLINE && policy.runtime == usualSlice ? 0 : policy.runtime
        record.deadline = policy.deadline
        record.period = policy.period
        record.affinity = seen.affinity.bytes.asData
        record.ioPriority = seen.ioPriority
        return record
    }

    static func record(_ answers: AttributeAnswers, _ stat: ProcessStat) -> ImageAttributes {
        var record = ImageAttributes()
        record.timeStampFaults = answers.timeStampFaults
        record.processorIDFaults = answers.processorIDFaults
        record.memoryFailure = UInt64(answers.memoryFailure) == Prctl.PR_MCE_KILL_DEFAULT ? 0 : answers.memoryFailure + 1
        record.flushesIo = stat.flushesIO
        if answers.speculation.count == 3 {
            record.storeBypass = answers.speculation[0]
            record.indirectBranch = answers.speculation[1]
            record.dataCacheFlush = answers.speculation[2]
        }
        return record
    }

    static func record(_ source: TimeSource) -> ImageRestartBlock.Source {
        switch source {
        case .kernel: .kernel
        case .arguments: .arguments
        case .kernelTimer: .kernelTimer
        case .memory: .memory
        case .lastSleep: .lastSleep
        }
    }

    static func record(_ block: RestartBlockAnswer) -> ImageRestartBlock {
        var record = ImageRestartBlock()
        record.kind =
            switch block.kind {
            case .unknown: .unknown
            case .nanosleep: .nanosleep
            case .poll: .poll
            case .futex: .futex
            case .cpuNanosleep: .cpuNanosleep
            }
        record.source = Self.record(block.source)
        record.clock = block.clock
        record.hasTimeout_p = block.hasTimeout
        record.remaining = block.remaining
        record.userAddress = block.userAddress
        record.count = block.count
        record.flags = block.flags
        record.bits = block.bits
        return record
    }

    /// Numbers of undo lists and disk contexts that at least two tasks have.
    static func shared(_ sight: TreeSight, _ number: KeyPath<ThreadSight, Int>) -> Set<Int> {
        var counts: [Int: Int] = [:]
        for (_, thread) in sight.threads where thread[keyPath: number] != 0 { counts[thread[keyPath: number], default: 0] += 1 }
        return Set(counts.filter { $0.value > 1 }.keys)
    }
}
