extension CheckpointImage {
    /// The first thread of a process, whose memory, descriptors and so on count as those of the process. Nil for a zombie.
    package func leader(of process: ImageProcess) -> ImageThread? {
        lookup.threadsOfProcess[process.pid].map { threads[$0.lowerBound] }
    }

    /// Ids of records 103, 104, 109 and 110, 0 for a zombie.
    package func spaceID(of process: ImageProcess) -> UInt32 { leader(of: process)?.addressSpace ?? 0 }
    package func tableID(of process: ImageProcess) -> UInt32 { leader(of: process)?.fileTable ?? 0 }

    package func addressSpace(of process: ImageProcess) -> ImageAddressSpace? { addressSpace(spaceID(of: process)) }
    package func fileTable(of process: ImageProcess) -> ImageFileTable? { fileTable(tableID(of: process)) }
    package func directories(of process: ImageProcess) -> ImageDirectories? {
        leader(of: process).flatMap { directories($0.directories) }
    }
    package func actions(of process: ImageProcess) -> [ImageSignalAction] {
        leader(of: process).flatMap { signalActions($0.actions) }?.actions ?? []
    }

    /// The directories of a thread that does not share those of its process; nil where it does.
    package func ownDirectories(of thread: ImageThread) -> ImageDirectories? {
        guard let leader = lookup.leader(of: thread.process, threads), leader.directories != thread.directories else { return nil }
        return directories(thread.directories)
    }

    /// The descriptors of a thread that does not share those of its process; nil where it does.
    package func ownFileTable(of thread: ImageThread) -> ImageFileTable? {
        guard let leader = lookup.leader(of: thread.process, threads), leader.fileTable != thread.fileTable else { return nil }
        return fileTable(thread.fileTable)
    }

    /// Ids of what a process can share with other processes: memory, descriptors, directories, signal actions, semaphore
    /// operations to be undone, io context. Directories and signal actions that only one process has are 0.
    package func sharedNumbers(of process: ImageProcess) -> [UInt32] {
        guard let leader = leader(of: process) else { return [0, 0, 0, 0, 0, 0] }
        func shared(_ id: UInt32, _ users: [UInt32: Int]) -> UInt32 { users[id, default: 0] > 1 ? id : 0 }
        return [
            leader.addressSpace, leader.fileTable, shared(leader.directories, lookup.processesIn.directories),
            shared(leader.actions, lookup.processesIn.actions), leader.undo, leader.diskContext,
        ]
    }

    /// The processes that have an address space, in the order of the file.
    package func users(ofSpace id: UInt32) -> [ImageProcess] { (lookup.processesIn.space[id] ?? []).map { processes[$0] } }
    /// The first process that has an address space.
    package func user(ofSpace id: UInt32) -> ImageProcess? {
        lookup.processesIn.space[id]?.first.map { processes[$0] }
    }

    /// The highest number of a descriptor that a file table has, or that an open file needs for a moment.
    package var highestDescriptor: UInt32 {
        let inTables = fileTables.lazy.compactMap { $0.descriptors.last?.number }.max() ?? 0
        return openFiles.lazy.compactMap { $0.saved?.momentaryNumbers.max() }.reduce(inTables, max)
    }

    /// Every number of a descriptor that a file table has, or that an open file needs for a moment.
    package var usedDescriptors: Set<UInt32> {
        var used: Set<UInt32> = []
        for table in fileTables { used.formUnion(table.descriptors.lazy.map(\.number)) }
        for file in openFiles { used.formUnion(file.saved?.momentaryNumbers ?? []) }
        return used
    }

    /// The first descriptor of an open file, in the order of the file tables. Nil where no file table holds the file.
    package func firstDescriptor(of file: UInt32) -> (table: UInt32, number: UInt32)? { lookup.firstDescriptor[file] }
}

/// How many processes have each thing that processes can share.
struct SharedCounts: Sendable {
    /// Positions of the processes, by id of the address space.
    var space: [UInt32: [Int]] = [:]
    var directories: [UInt32: Int] = [:]
    var actions: [UInt32: Int] = [:]
}
