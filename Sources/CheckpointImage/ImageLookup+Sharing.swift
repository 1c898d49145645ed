/// What threads share by the flags of clone(2), told by the ids of records.
extension ImageLookup {
    func leader(of pid: UInt32, _ threads: [ImageThread]) -> ImageThread? {
        threadsOfProcess[pid].map { threads[$0.lowerBound] }
    }

    /// Every id exists, and the threads of a process have its memory and signal actions, as clone(2) demands of them.
    ///
    /// - Source: clone(2), CLONE_THREAD, CLONE_SIGHAND.
    mutating func indexShares(_ records: ImageRecords) throws(ImageError) {
        for one in records.threads {
            let subject = { "thread \(one.tid) of process \(one.process)" }
            try require(addressSpace[one.addressSpace] != nil, .noAddressSpace, subject())
            try require(fileTable[one.fileTable] != nil, .noFileTable, subject())
            try require(directories[one.directories] != nil, .noDirectories, subject())
            try require(signalActions[one.actions] != nil, .noActions, subject())
            guard let leader = leader(of: one.process, records.threads) else { continue }
            try require(
                one.addressSpace == leader.addressSpace && one.actions == leader.actions, .threadShares, subject())
        }
        for (position, process) in records.processes.enumerated() {
            guard process.state != .zombie else {
                try require(threadsOfProcess[process.pid] == nil, .zombieThreads, "process \(process.pid)")
                continue
            }
            guard let leader = leader(of: process.pid, records.threads) else { continue }
            processesIn.space[leader.addressSpace, default: []].append(position)
            processesIn.directories[leader.directories, default: 0] += 1
            processesIn.actions[leader.actions, default: 0] += 1
        }
    }

    func validate(_ one: ImageDirectories) throws(ImageError) {
        let subject = { "directories \(one.id)" }
        try requireFile(one.working, subject())
        try requireFile(one.root, subject())
        try require(one.umask <= 0o777, .umask, subject())
    }

    /// Tasks that share signal actions share memory, too, and handlers lie in that memory. A thread may be in a
    /// directory of its own, but its root is that of its process.
    ///
    /// - Source: clone(2), CLONE_SIGHAND.
    func validateSharing(_ records: ImageRecords) throws(ImageError) {
        var spaceOfActions: [UInt32: UInt32] = [:]
        for one in records.threads {
            let subject = { "thread \(one.tid) of process \(one.process)" }
            let space = spaceOfActions[one.actions, default: one.addressSpace]
            spaceOfActions[one.actions] = space
            try require(space == one.addressSpace, .sharedActions, subject())
            guard let leader = leader(of: one.process, records.threads), leader.directories != one.directories else { continue }
            let roots = [leader.directories, one.directories].map { id in
                directories[id].map { records.directories[$0].root.path }
            }
            try require(roots[0] == roots[1], .sharedDiffers, subject())
        }
        for one in records.signalActions {
            let space = spaceOfActions[one.id].flatMap { addressSpace[$0] }.map { records.addressSpaces[$0] }
            try validateActions(one.actions, is32Bit: space?.is32Bit == true, "signal actions \(one.id)")
        }
    }

    /// A handler can have any address that its word size can hold: the kernel jumps there when the signal comes.
    private func validateActions(
        _ actions: [ImageSignalAction], is32Bit: Bool, _ subject: @autoclosure () -> String
    ) throws(ImageError) {
        var seen: UInt64 = 0
        for action in actions {
            try require(ImageLimits.signals.contains(action.signal), .signalRange, subject())
            let bit: UInt64 = 1 << UInt64(action.signal - 1)
            try require(seen & bit == 0, .duplicateSignal, subject())
            seen |= bit
            try require(!is32Bit || action.handler | action.restorer < ImageLimits.userEnd32, .address, subject())
        }
    }
}
