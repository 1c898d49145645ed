/// The metadata of an image: decoded, each record's checksum compared, every reference resolved.
///
/// The arrays are in the order of the file. What is refused is listed in `ImageError.Reason` and
/// `ImageRule`.
package struct CheckpointImage: Sendable {
    package var header: ImageHeader
    package var processes: [ImageProcess]
    /// Those of one process side by side, the leader first.
    package var threads: [ImageThread]
    package var addressSpaces: [ImageAddressSpace]
    package var fileTables: [ImageFileTable]
    package var openFiles: [ImageOpenFile]
    package var pipes: [ImagePipe]
    package var memoryObjects: [ImageMemoryObject]
    package var semaphoreSets: [ImageSemaphoreSet]
    /// Where the pages lie; empty when the image comes from a pipe.
    package private(set) var pageSections: [PageSection] = []
    private var sectionPosition: [PageOwner: Int] = [:]
    private(set) var lookup: ImageLookup

    /// Validates records that were decoded (or made up, in tests).
    package init(validating records: ImageRecords) throws(ImageError) {
        lookup = try ImageLookup(validating: records)
        header = records.header
        processes = records.processes
        threads = records.threads
        addressSpaces = records.addressSpaces
        fileTables = records.fileTables
        openFiles = records.openFiles
        pipes = records.pipes
        memoryObjects = records.memoryObjects
        semaphoreSets = records.semaphoreSets
    }

    /// After its records were changed.
    mutating func validateAgain() throws(ImageError) {
        var records = ImageRecords()
        records.header = header
        records.processes = processes
        records.threads = threads
        records.addressSpaces = addressSpaces
        records.fileTables = fileTables
        records.openFiles = openFiles
        records.pipes = pipes
        records.memoryObjects = memoryObjects
        records.semaphoreSets = semaphoreSets
        lookup = try ImageLookup(validating: records)
    }
}

/// Decoded records before anything is known about how they fit together.
package struct ImageRecords: Sendable {
    package var header = ImageHeader()
    package var processes: [ImageProcess] = []
    package var threads: [ImageThread] = []
    package var addressSpaces: [ImageAddressSpace] = []
    package var fileTables: [ImageFileTable] = []
    package var openFiles: [ImageOpenFile] = []
    package var pipes: [ImagePipe] = []
    package var memoryObjects: [ImageMemoryObject] = []
    package var semaphoreSets: [ImageSemaphoreSet] = []

    package init() {}
}

extension CheckpointImage {
    /// The root of the tree: the only process without a parent.
    package var root: ImageProcess { processes[0] }

    package func process(_ pid: UInt32) -> ImageProcess? { lookup.process[pid].map { processes[$0] } }
    package func thread(_ tid: UInt32) -> ImageThread? { lookup.thread[tid].map { threads[$0] } }
    package func addressSpace(_ id: UInt32) -> ImageAddressSpace? {
        lookup.addressSpace[id].map { addressSpaces[$0] }
    }
    package func fileTable(_ id: UInt32) -> ImageFileTable? { lookup.fileTable[id].map { fileTables[$0] } }
    package func openFile(_ id: UInt32) -> ImageOpenFile? { lookup.openFile[id].map { openFiles[$0] } }
    package func pipe(_ id: UInt32) -> ImagePipe? { lookup.pipe[id].map { pipes[$0] } }
    package func memoryObject(_ id: UInt32) -> ImageMemoryObject? {
        lookup.memoryObject[id].map { memoryObjects[$0] }
    }

    /// The threads of a process, leader first; empty for a zombie.
    package func threads(of pid: UInt32) -> ArraySlice<ImageThread> {
        threads[lookup.threadsOfProcess[pid] ?? 0..<0]
    }

    /// The children of a process, in the order of the file.
    package func children(of pid: UInt32) -> [ImageProcess] {
        (lookup.children[pid] ?? []).map { processes[$0] }
    }

    /// Where the pages of an address space or a memory object lie in a seekable image.
    package func pageSection(of owner: PageOwner) -> PageSection? {
        sectionPosition[owner].map { pageSections[$0] }
    }

    /// Notes where pages lie, for a reader that found out on the way.
    package mutating func add(_ section: PageSection) {
        sectionPosition[section.owner] = pageSections.count
        pageSections.append(section)
    }

    /// The first process, in the order of the file, that has this address space.
    package func user(ofSpace id: UInt32) -> ImageProcess? {
        processes.first { $0.addressSpace == id && $0.state != .zombie }
    }

    /// Saved pages of all owners together.
    package var pageCount: UInt64 { lookup.pages.values.reduce(0, +) }
}

extension ImageProcess {
    /// By what it shares something with others, 0: nothing. Memory, descriptors, directories, signal actions, semaphore
    /// operations to undo, disk priority.
    package var sharedNumbers: [UInt32] {
        [addressSpace, fileTable, sharedDirectories, sharedActions, sharedUndo, sharedDiskContext]
    }
}
