/// The metadata of an image: decoded, each record's checksum compared, every reference resolved.
///
/// The arrays are in the order of the file. What is refused is listed in `ImageError.Reason` and
/// `ImageRule`.
package struct CheckpointImage: Sendable {
    /// All metadata, as they would be written, and what is found in them by id. One reference: an image is handed from stage to stage,
    /// and a copy of seventeen arrays for each use of one costs more than what they are asked for.
    private final class Content: Sendable {
        let records: ImageRecords
        let lookup: ImageLookup

        init(validating records: ImageRecords) throws(ImageError) {
            lookup = try ImageLookup(validating: records)
            self.records = records
        }
    }

    private var content: Content
    /// Where the pages lie; empty when the image comes from a pipe.
    package private(set) var pageSections: [PageSection] = []
    private var sectionPosition: [PageOwner: Int] = [:]

    /// Validates records that were decoded (or made up, in tests).
    package init(validating records: ImageRecords) throws(ImageError) { content = try Content(validating: records) }

    /// The image with other records and the same pages. The records are validated again.
    package func changed(_ change: (inout ImageRecords) -> Void) throws(ImageError) -> CheckpointImage {
        var records = records
        change(&records)
        var changed = self
        changed.content = try Content(validating: records)
        return changed
    }

    var lookup: ImageLookup { content.lookup }
    /// All metadata, as they would be written.
    package var records: ImageRecords { content.records }
    package var header: ImageHeader { content.records.header }
    package var processes: [ImageProcess] { content.records.processes }
    /// The threads of one process follow each other, the leader first.
    package var threads: [ImageThread] { content.records.threads }
    package var addressSpaces: [ImageAddressSpace] { content.records.addressSpaces }
    package var fileTables: [ImageFileTable] { content.records.fileTables }
    package var openFiles: [ImageOpenFile] { content.records.openFiles }
    package var pipes: [ImagePipe] { content.records.pipes }
    package var terminals: [ImageTerminal] { content.records.terminals }
    package var memoryObjects: [ImageMemoryObject] { content.records.memoryObjects }
    package var semaphoreSets: [ImageSemaphoreSet] { content.records.semaphoreSets }
    package var messageQueues: [ImageMessageQueue] { content.records.messageQueues }
    package var directories: [ImageDirectories] { content.records.directories }
    package var signalActions: [ImageSignalActions] { content.records.signalActions }
    package var namespaces: [ImageNamespace] { content.records.namespaces }
    package var sharedPages: [ImageSharedPages] { content.records.sharedPages }
    package var callFilters: [ImageCallFilter] { content.records.callFilters }
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
