/// The metadata of an image: decoded, each record's checksum compared, every reference resolved.
///
/// The arrays are in the order of the file. What is refused is listed in `ImageError.Reason` and
/// `ImageRule`.
package struct CheckpointImage: Sendable {
    package var header: ImageHeader
    package var processes: [ImageProcess]
    /// The threads of one process follow each other, the leader first.
    package var threads: [ImageThread]
    package var addressSpaces: [ImageAddressSpace]
    package var fileTables: [ImageFileTable]
    package var openFiles: [ImageOpenFile]
    package var pipes: [ImagePipe]
    package var terminals: [ImageTerminal]
    package var memoryObjects: [ImageMemoryObject]
    package var semaphoreSets: [ImageSemaphoreSet]
    package var messageQueues: [ImageMessageQueue]
    package var directories: [ImageDirectories]
    package var signalActions: [ImageSignalActions]
    package var namespaces: [ImageNamespace]
    package var sharedPages: [ImageSharedPages]
    package var callFilters: [ImageCallFilter]
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
        terminals = records.terminals
        memoryObjects = records.memoryObjects
        semaphoreSets = records.semaphoreSets
        messageQueues = records.messageQueues
        directories = records.directories
        signalActions = records.signalActions
        namespaces = records.namespaces
        sharedPages = records.sharedPages
        callFilters = records.callFilters
    }

    /// Validates records that were changed, with the pages of the image that they come from.
    mutating func validateAgain() throws(ImageError) { lookup = try ImageLookup(validating: records) }

    /// All metadata, as they would be written.
    package var records: ImageRecords {
        var records = ImageRecords()
        records.header = header
        records.processes = processes
        records.threads = threads
        records.addressSpaces = addressSpaces
        records.fileTables = fileTables
        records.openFiles = openFiles
        records.pipes = pipes
        records.terminals = terminals
        records.memoryObjects = memoryObjects
        records.semaphoreSets = semaphoreSets
        records.messageQueues = messageQueues
        records.directories = directories
        records.signalActions = signalActions
        records.namespaces = namespaces
        records.sharedPages = sharedPages
        records.callFilters = callFilters
        return records
    }
}

/// Decoded records before anything is known about how they fit together.
package struct ImageRecords: Sendable, Equatable {
    package var header = ImageHeader()
    package var processes: [ImageProcess] = []
    package var threads: [ImageThread] = []
    package var addressSpaces: [ImageAddressSpace] = []
    package var fileTables: [ImageFileTable] = []
    package var openFiles: [ImageOpenFile] = []
    package var pipes: [ImagePipe] = []
    package var terminals: [ImageTerminal] = []
    package var memoryObjects: [ImageMemoryObject] = []
    package var semaphoreSets: [ImageSemaphoreSet] = []
    package var messageQueues: [ImageMessageQueue] = []
    package var directories: [ImageDirectories] = []
    package var signalActions: [ImageSignalActions] = []
    package var namespaces: [ImageNamespace] = []
    package var sharedPages: [ImageSharedPages] = []
    package var callFilters: [ImageCallFilter] = []

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
    package func terminal(_ id: UInt32) -> ImageTerminal? { lookup.terminal[id].map { terminals[$0] } }
    /// The position of a terminal in `terminals`.
    package func place(ofTerminal id: UInt32) -> Int? { lookup.terminal[id] }
    package func memoryObject(_ id: UInt32) -> ImageMemoryObject? {
        lookup.memoryObject[id].map { memoryObjects[$0] }
    }
    /// The position of a memory object in `memoryObjects`.
    package func place(ofMemoryObject id: UInt32) -> Int? { lookup.memoryObject[id] }
    package func directories(_ id: UInt32) -> ImageDirectories? { lookup.directories[id].map { directories[$0] } }
    package func signalActions(_ id: UInt32) -> ImageSignalActions? {
        lookup.signalActions[id].map { signalActions[$0] }
    }
    package func namespace(_ id: UInt32) -> ImageNamespace? { lookup.namespace[id].map { namespaces[$0] } }

    package func callFilter(_ id: UInt32) -> ImageCallFilter? { lookup.callFilter[id].map { callFilters[$0] } }

    /// The threads of a process, leader first; empty for a zombie.
    package func threads(of pid: UInt32) -> ArraySlice<ImageThread> {
        threads[lookup.threadsOfProcess[pid] ?? 0..<0]
    }

    /// The children of a process, in the order of the file.
    package func children(of pid: UInt32) -> [ImageProcess] {
        (lookup.children[pid] ?? []).map { processes[$0] }
    }

    /// Where the pages of an address space, a memory object or a set of shared pages lie in a seekable image.
    package func pageSection(of owner: PageOwner) -> PageSection? {
        sectionPosition[owner].map { pageSections[$0] }
    }

    /// The sets of shared pages that an address space holds some of, and its place among the holders of each.
    package func sharedBy(_ space: UInt32) -> [(set: Int, holder: Int)] { lookup.sharedBy[space] ?? [] }

    /// Sets the sections of pages, for a reader that finds them after the metadata.
    package mutating func add(_ section: PageSection) {
        sectionPosition[section.owner] = pageSections.count
        pageSections.append(section)
    }

    /// Saved pages of all owners together.
    package var pageCount: UInt64 { lookup.pages.values.reduce(0, +) }
}
