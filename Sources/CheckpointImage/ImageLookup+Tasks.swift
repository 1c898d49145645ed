internal import LinuxABI

extension ImageLookup {
    /// Validates the tree: each process has its parent, each thread its process.
    mutating func indexTree(_ records: ImageRecords) throws(ImageError) {
        try require(!records.processes.isEmpty, .noProcess, "the image")
        process.reserveCapacity(records.processes.count)
        for (position, one) in records.processes.enumerated() {
            let subject = { "process \(one.pid)" }
            try require(ImageLimits.pids.contains(one.pid), .pidRange, subject())
            if position == 0 {
                try require(one.pid == records.header.root && one.parent == 0, .rootIsFirst, subject())
                try require(one.state != .zombie, .rootHasEnded, subject())
            } else {
                try require(one.parent != 0, .oneRoot, subject())
                try require(process[one.parent] != nil && one.parent != one.pid, .noParent, subject())
                children[one.parent, default: []].append(position)
            }
            try require(process.updateValue(position, forKey: one.pid) == nil, .duplicateID, subject())
        }
        try indexThreads(records)
    }

    private mutating func indexThreads(_ records: ImageRecords) throws(ImageError) {
        thread.reserveCapacity(records.threads.count)
        var before: ImageThread?
        for (position, one) in records.threads.enumerated() {
            let subject = { "thread \(one.tid) of process \(one.process)" }
            try require(ImageLimits.pids.contains(one.tid), .pidRange, subject())
            try require(process[one.process] != nil, .noSuchProcess, subject())
            try require(thread.updateValue(position, forKey: one.tid) == nil, .duplicateID, subject())
            if let before, before.process == one.process {
                // The leader's tid can be above others: when another thread calls execve it becomes the leader.
                try require(before.tid == before.process || before.tid < one.tid, .threadOrder, subject())
                threadsOfProcess[one.process] = (threadsOfProcess[one.process]?.lowerBound ?? position)..<position + 1
            } else {
                try require(threadsOfProcess[one.process] == nil, .threadOrder, subject())
                try require(one.tid == one.process, .leaderFirst, subject())
                threadsOfProcess[one.process] = position..<position + 1
            }
            before = one
        }
        for one in records.processes where one.state != .zombie {
            try require(threadsOfProcess[one.pid] != nil, .noLeader, "process \(one.pid)")
        }
        // A tid is not the pid of another process.
        for one in records.threads where one.tid != one.process {
            try require(process[one.tid] == nil, .duplicateID, "thread \(one.tid) of process \(one.process)")
        }
    }

    func validate(_ one: ImageProcess) throws(ImageError) {
        let subject = { "process \(one.pid)" }
        for number in [one.group, one.session] where number != 0 {
            try require(ImageLimits.pids.contains(number), .pidRange, subject())
        }
        try require(isCommandName(one.command), .name, subject())
        try require(one.exitSignal <= ImageLimits.endSignal, .endSignal, subject())
        try require(one.exitStatus <= 0xffff, .exitStatus, subject())
        switch one.state {
        case .zombie: return
        case .stopped: try require(ImageLimits.signals.contains(one.stopSignal), .signalRange, subject())
        case .running: break
        case .UNRECOGNIZED: throw .rule(.state, subject())
        }
        try requireFile(one.executable, subject())
        try require(one.executable.object == 0 || memoryObject[one.executable.object] != nil, .noMemoryObject, subject())
        try require(one.dumpable <= 2, .dumpable, subject())
        try require(UInt64(one.memoryBarriers) & ~Membarrier.registrations.reduce(0, |) == 0, .attributes, subject())
        try require((-1000...1000).contains(one.oomScoreAdjustment), .outOfMemoryScore, subject())
        for signal in one.pending { try validate(signal, subject()) }
        var timers: Set<UInt32> = []
        for timer in one.timers {
            try require(
                timer.which <= 2 && timers.insert(timer.which).inserted && timer.interval <= ImageLimits.microseconds
                    && timer.remaining <= ImageLimits.microseconds, .timer, subject())
        }
        var resources: Set<UInt32> = []
        for limit in one.limits {
            try require(
                limit.resource < 16 && limit.soft <= limit.hard && resources.insert(limit.resource).inserted,
                .limit, subject())
        }
    }

    private func validate(_ signal: ImagePendingSignal, _ subject: @autoclosure () -> String)
        throws(ImageError)
    {
        try require(signal.info.count == ImageLimits.siginfoLength, .siginfo, subject())
        let number = signal.info.prefix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        try require(ImageLimits.signals.contains(number), .signalRange, subject())
    }

    /// A call of the i386 table has no address above 4 GiB in it, and occurs on x86_64 only.
    func validateCall(of one: ImageThread, architecture: String) throws(ImageError) {
        let subject = { "thread \(one.tid) of process \(one.process)" }
        let block = one.restartBlock
        try require(!one.callIs32Bit || architecture == "x86_64", .wordSize, subject())
        try require(!one.callIs32Bit || block.userAddress < ImageLimits.userEnd32, .address, subject())
        try require(
            !one.timeLeftIs32Bit || one.callIs32Bit && (block.kind == .nanosleep || block.kind == .cpuNanosleep),
            .restartBlock, subject())
    }

    func validate(_ one: ImageThread, userEnd: UInt64) throws(ImageError) {
        let subject = { "thread \(one.tid) of process \(one.process)" }
        try require(isCommandName(one.name), .name, subject())
        if one.hasExited_p {
            // A leader that has exited has only its number and status left, and its process has a living thread.
            try require(
                one.tid == one.process && (threadsOfProcess[one.process]?.count ?? 0) > 1 && one.exitCode <= 0xff && one.cpu.isEmpty
                    && one.pending.isEmpty && one.rseq.address == 0 && !one.hasRestartBlock && !one.hasTimeout,
                .exitedThread, subject())
        }
        var features: Set<UInt32> = []
        for record in one.cpu {
            try require(
                record.feature < 64 && features.insert(record.feature).inserted, .cpuRecord, subject())
        }
        for signal in one.pending { try validate(signal, subject()) }
        // The kernel takes any value for the other addresses of a thread: it looks at them when it uses them.
        let is32Bit = userEnd == ImageLimits.userEnd32
        try require(one.rseq.address < userEnd && (!is32Bit || one.robustList < userEnd), .address, subject())
        try require(
            one.parentDeathSignal == 0 || ImageLimits.signals.contains(one.parentDeathSignal), .signalRange,
            subject())
        try require(
            one.attributes.memoryFailure <= 2
                && [one.attributes.storeBypass, one.attributes.indirectBranch, one.attributes.dataCacheFlush].allSatisfy { $0 <= 0x3f },
            .attributes, subject())
        let credentials = one.credentials
        try require(
            credentials.secureBits <= SecureBit.all && credentials.groups.count <= ImageLimits.groups, .credentials, subject())
        let scheduling = one.scheduling
        try require(
            scheduling.policy <= 7 && (-20...19).contains(scheduling.nice) && scheduling.priority <= 99
                && scheduling.affinity.count <= 1 << 16 && scheduling.ioPriority <= 0xffff, .scheduling,
            subject())
        switch (one.restartBlock.kind, one.restartBlock.source, one.timeout.source) {
        case (.UNRECOGNIZED, _, _), (_, .UNRECOGNIZED, _), (_, _, .UNRECOGNIZED):
            throw .rule(.restartBlock, subject())
        default: break
        }
        let block = one.restartBlock
        try require(
            block.remaining <= ImageLimits.time && one.timeout.remaining <= ImageLimits.time && block.count <= UInt32.max
                && block.flags & ~0x180 == 0, .restartBlock, subject())
    }
}
