internal import ArchState

/// The position of each id among the records, found while the records are validated.
struct ImageLookup: Sendable {
    var process: [UInt32: Int] = [:]
    var thread: [UInt32: Int] = [:]
    var threadsOfProcess: [UInt32: Range<Int>] = [:]
    var children: [UInt32: [Int]] = [:]
    /// By pid namespace: those from the outermost nested one to itself.
    var lineages: [[UInt32]] = [[]]
    /// Threads by their numbers in nested pid namespaces.
    var innerThread: [InnerNumber: Int] = [:]
    var addressSpace: [UInt32: Int] = [:]
    var fileTable: [UInt32: Int] = [:]
    var openFile: [UInt32: Int] = [:]
    var pipe: [UInt32: Int] = [:]
    var terminal: [UInt32: Int] = [:]
    var callFilter: [UInt32: Int] = [:]
    var memoryObject: [UInt32: Int] = [:]
    /// By id of a memory object from the pool of huge pages.
    var hugePageShifts: [UInt32: UInt32] = [:]
    var directories: [UInt32: Int] = [:]
    var signalActions: [UInt32: Int] = [:]
    var namespace: [UInt32: Int] = [:]
    /// By address space: the sets of shared pages that it holds some of, and its place among their holders.
    var sharedBy: [UInt32: [(set: Int, holder: Int)]] = [:]
    /// Ids of the mount namespaces.
    var mountNamespaces: Set<UInt32> = []
    /// Process groups that have a member.
    var groups: Set<UInt32> = []
    var processesIn = SharedCounts()
    /// By open file: the first descriptor that leads to it.
    var firstDescriptor: [UInt32: (table: UInt32, number: UInt32)] = [:]
    /// The pid and mount namespaces that a restart makes.
    var made = MadeNamespaces()
    /// Saved pages of each owner.
    var pages: [PageOwner: UInt64] = [:]

    /// Checks every record and every reference.
    ///
    /// 1. Ids, so that all later rules can look them up. 2. The tree. 3. Each record by itself, in the
    /// order of the record types.
    init(validating records: ImageRecords) throws(ImageError) {
        try validateHeader(records.header)
        try require(
            records.processes.count + records.threads.count <= ImageLimits.tasks, .tooMany,
            "processes and threads")
        addressSpace = try index(records.addressSpaces, "address space", \.id)
        fileTable = try index(records.fileTables, "file table", \.id)
        openFile = try index(records.openFiles, "open file", \.id)
        pipe = try index(records.pipes, "pipe", \.id)
        terminal = try index(records.terminals, "terminal", \.id)
        memoryObject = try index(records.memoryObjects, "memory object", \.id)
        for object in records.memoryObjects where ImageLimits.hugePageShifts.contains(object.hugePageShift) {
            hugePageShifts[object.id] = object.hugePageShift
        }
        _ = try index(records.semaphoreSets, "semaphore set", \.id)
        _ = try index(records.messageQueues, "message queue", \.id)
        directories = try index(records.directories, "directories", \.id)
        signalActions = try index(records.signalActions, "signal actions", \.id)
        namespace = try index(records.namespaces, "namespace", \.id)
        try indexTree(records)
        groups = Set(records.processes.map(\.group))
        try indexShares(records)
        try indexNamespaces(records)
        let nativeEnd = ImageLimits.userEnd(architecture: records.header.architecture)
        func userEnd(_ space: ImageAddressSpace?) -> UInt64 { space?.is32Bit == true ? ImageLimits.userEnd32 : nativeEnd }
        for process in records.processes {
            try validate(process)
            try validate(process.posixTimers, of: process, records.threads)
        }
        for one in records.directories { try validate(one) }
        try validateSharing(records)
        for thread in records.threads {
            try validate(thread, userEnd: userEnd(addressSpace[thread.addressSpace].map { records.addressSpaces[$0] }))
            try validateCall(of: thread, architecture: records.header.architecture)
        }
        try validateCallFilters(records, userEnd: nativeEnd)
        for space in records.addressSpaces {
            try require(
                !space.is32Bit || records.header.architecture == "x86_64", .wordSize, "address space \(space.id)")
            try validate(space, userEnd: userEnd(space))
        }
        for table in records.fileTables {
            try validate(table)
            try validatePosixLocks(of: table, records)
        }
        for file in records.openFiles { try validate(file, records) }
        for pipe in records.pipes { try validate(pipe) }
        for terminal in records.terminals { try validate(terminal, records) }
        for object in records.memoryObjects { try validate(object) }
        try validateSharedPages(records, userEnd: userEnd)
        try validateNesting(of: records.openFiles)
        try validate(records.semaphoreSets)
        try validate(records.messageQueues)
        try validateSegments(records.memoryObjects)
        try validateCgroups(records)
        try require(!records.header.hasLock || isLockID(records.header.lock.id), .lockName, "the lock of connections")
    }

    /// Positions by id. Refuses ids that are 0 or occur twice.
    func index<Record>(_ records: [Record], _ kind: String, _ id: (Record) -> UInt32)
        throws(ImageError) -> [UInt32: Int]
    {
        var positions: [UInt32: Int] = [:]
        positions.reserveCapacity(records.count)
        for (position, record) in records.enumerated() {
            try require(id(record) != 0, .zeroID, kind)
            try require(
                positions.updateValue(position, forKey: id(record)) == nil, .duplicateID,
                "\(kind) \(id(record))")
        }
        return positions
    }

    private func validateHeader(_ header: ImageHeader) throws(ImageError) {
        try require(header.formatVersion == ImageFormat.version, .formatVersion, "header")
        try require(header.pageSize == UInt32(ImageFormat.pageSize), .pageSize, "header")
        try require(!header.architecture.isEmpty, .architecture, "header")
        try require(header.identity.isEmpty || header.identity.count == ImageFormat.identityLength, .imageIdentity, "header")
        if header.hasParent { try require(header.parent.isPlausible, .parentImage, "header") }
        for mask in [header.cpuFeaturesInUse, header.cpuFeaturesOffered] {
            let unknown = mask & ~CPUFeatureSet.all.rawValue
            try require(unknown == 0, .cpuFeatures, "header: feature number \(unknown.trailingZeroBitCount)")
        }
        let unknown = X86InstructionSets(rawValue: header.cpuInstructionsOffered).subtracting(.all)
        try require(unknown.isEmpty, .cpuFeatures, "header: instruction set \(unknown.rawValue.trailingZeroBitCount)")
        let code = header.vdso.code
        try require(
            code.isEmpty || code.count <= ImageLimits.vdsoCode && code.count == Int(header.vdso.codeSize)
                && crc32c(code.asBytes) == header.vdso.checksum, .vdso, "header")
        let begin = header.begin
        try require([begin.monotonic, begin.boottime].allSatisfy { $0 >= 0 }, .clocks, "header")
    }
}

/// Bounds of values in an image.
enum ImageLimits {
    /// As many as there are numbers for.
    static let tasks = 1 << 22
    /// As many as one record can hold: the kernel's own limit (vm.max_map_count) can be set to any number.
    static let mappingsOfOneSpace = ImageFormat.mostFields
    static let pids: ClosedRange<UInt32> = 1...4_194_304
    static let signals: ClosedRange<UInt32> = 1...64
    /// What clone(2) takes as a signal of the end: its lowest byte. Above 64 none is sent. Source: clone(2), CSIGNAL.
    static let endSignal: UInt32 = 0xff
    /// The largest number that fs.nr_open can be set to. Source: Linux, fs/file.c, `sysctl_nr_open_max`.
    static let descriptors: UInt32 = 0x7fff_ffc0
    /// NGROUPS_MAX
    static let groups = 65536
    static let siginfoLength = 128
    /// MAX_LFS_FILESIZE
    /// Bytes of a ring of io_setup(2). Source: fs/aio.c, `ioctx_alloc`.
    static let asynchronousRing: UInt64 = 0x1000_0000
    static let objectSize = UInt64(Int64.max)
    /// Bytes of the name of an extended attribute, and of its value. Source: linux/limits.h, XATTR_NAME_MAX, XATTR_SIZE_MAX.
    static let attributeName = 255
    static let attributeValue = 65536
    static let vdsoCode = 1 << 16
    /// Of 16 KiB to 16 GiB, which one kernel or another has.
    static let hugePageShifts: ClosedRange<UInt32> = 14...34
    /// `struct termios2`. Source: asm-generic/termbits.h.
    static let terminalSettings = 44
    /// More than a terminal holds in one direction. Source: drivers/tty/tty_buffer.c, TTYB_DEFAULT_MEM_LIMIT, and n_tty.c.
    static let terminalContents = 1 << 17
    /// The kernel's longest time, which programs use for "for ever": 292 years in nanoseconds. Source: Linux, KTIME_MAX.
    static let time = UInt64(Int64.max)
    /// The same in microseconds, rounded up to a power of two: it stays in 64 bits when it is counted in nanoseconds.
    static let microseconds: UInt64 = 1 << 54

    /// Of a 32-bit program.
    static let userEnd32: UInt64 = 1 << 32

    /// The first address that no program can have. Source: Linux, TASK_SIZE of each architecture.
    static func userEnd(architecture: String) -> UInt64 {
        switch architecture {
        case "x86_64", "i686": 0x7fff_ffff_f000
        case "aarch64": 1 << 48
        default: 1 << 52
        }
    }
}
