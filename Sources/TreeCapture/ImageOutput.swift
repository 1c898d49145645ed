internal import CheckpointImage
internal import Kernel

/// Writes an image: the records first, then the pages straight from the tasks.
struct ImageOutput {
    private let records: ImageRecords
    private let pages: [PageOrigin]
    private let output: OutputFile
    private var encoder = ImageEncoder()
    private(set) var bytes: UInt64 = 0

    /// Pages of a task that are read with one request, so that progress is seen.
    private static let sliceLength: UInt64 = 16384
    /// Bytes of records that are gathered for one write.
    private static let bufferSize = 1 << 20

    /// - Parameter pages: where the pages of each owner are read from; the records tell which they are.
    init(_ records: ImageRecords, pages: [PageOrigin], to output: OutputFile) {
        self.records = records
        self.pages = pages
        self.output = output
    }

    /// - Preconditions: the tasks that pages are read from are stopped.
    mutating func write(progress: (UInt64, UInt64) throws(CaptureError) -> Void) throws(CaptureError) {
        do {
            let output = output
            try Self.writeMetadata(records, &encoder) { try output.write($0) }
            try writePages(progress)
            try put(encoder.tail())
        } catch let error as CaptureError {
            throw error
        } catch let error as ImageError {
            throw CaptureError("\(error)")
        } catch let error as SystemError {
            let help =
                switch error.name {
                case "ENOSPC", "EDQUOT": "the disk is full: free some space, or write elsewhere"
                case "EPIPE": "the reader of the pipe is gone"
                case "EFBIG": "it is larger than a file may become here: ulimit -f"
                default: error.call
                }
            throw CaptureError(cannot: "write image \(output.name)", error, help: help)
        } catch {
            throw CaptureError("cannot write image \(output.name): \(error)")
        }
        bytes = encoder.offset
    }

    /// Tells a reader of a stream why it ends.
    mutating func fail(_ reason: String) {
        guard output.isStream, let record = try? encoder.failure(reason: reason, status: 1) else { return }
        try? output.write(record)
    }

    private func put(_ record: [UInt8]) throws { try output.write(record) }

    /// An image without its pages.
    static func bytes(of records: ImageRecords) throws(ImageError) -> [UInt8] {
        var encoder = ImageEncoder()
        var bytes: [UInt8] = []
        do { try writeMetadata(records, &encoder) { bytes += $0 } } catch { throw error as? ImageError ?? ImageError(.writerOrder("\(error)")) }
        return bytes + (try encoder.tail())
    }

    private static func writeMetadata(
        _ records: ImageRecords, _ encoder: inout ImageEncoder, _ put: ([UInt8]) throws -> Void
    ) throws {
        var buffer = encoder.start()
        func add(_ record: [UInt8]) throws {
            buffer += record
            if buffer.count > bufferSize {
                try put(buffer)
                buffer = []
            }
        }
        try add(encoder.record(.header, id: 0, records.header))
        for process in records.processes { try add(encoder.record(.process, id: process.pid, process)) }
        for thread in records.threads { try add(encoder.record(.thread, id: thread.tid, thread)) }
        for space in records.addressSpaces { try add(encoder.record(.addressSpace, id: space.id, space)) }
        for table in records.fileTables { try add(encoder.record(.fileTable, id: table.id, table)) }
        for file in records.openFiles { try add(encoder.record(.openFile, id: file.id, file)) }
        for pipe in records.pipes { try add(encoder.record(.pipe, id: pipe.id, pipe)) }
        for terminal in records.terminals { try add(encoder.record(.terminal, id: terminal.id, terminal)) }
        for object in records.memoryObjects { try add(encoder.record(.memoryObject, id: object.id, object)) }
        for set in records.semaphoreSets { try add(encoder.record(.semaphoreSet, id: set.id, set)) }
        for queue in records.messageQueues { try add(encoder.record(.messageQueue, id: queue.id, queue)) }
        for directories in records.directories { try add(encoder.record(.directories, id: directories.id, directories)) }
        for actions in records.signalActions { try add(encoder.record(.signalActions, id: actions.id, actions)) }
        for namespace in records.namespaces { try add(encoder.record(.namespace, id: namespace.id, namespace)) }
        for set in records.sharedPages { try add(encoder.record(.sharedPages, id: set.id, set)) }
        try put(buffer)
    }

    private mutating func writePages(_ progress: (UInt64, UInt64) throws(CaptureError) -> Void) throws {
        let total =
            (records.addressSpaces.reduce(0) { $0 + $1.runLength.reduce(0, +) }
                + records.memoryObjects.reduce(0) { $0 + $1.runLength.reduce(0, +) }
                + records.sharedPages.reduce(0) { $0 + $1.runLength.reduce(0, +) }) * pageSize
        var writer = PageWriter(to: output.descriptorNumber)
        for origin in pages {
            let runs = runs(of: origin.owner)
            let count = runs.reduce(0) { $0 + $1.count }
            if count == 0 { continue }
            try begin(origin.owner, count)
            switch origin.source {
            case .file(let path):
                try writer.append(runs.map { ($0.page * pageSize, $0.count * pageSize) }, ofFile: try Descriptor.openToCopy(path))
            case .task(let task):
                try write(runs[...], of: task, &writer) { done in try progress(done, total) }
            case .tasks(let parts):
                for part in parts { try write(runs[part.runs], of: part.task, &writer) { done in try progress(done, total) } }
            }
            try put(encoder.pagesEnd(checksums: writer.finishSection()))
            try progress(writer.written, total)
        }
    }

    private func runs(of owner: PageOrigin.Owner) -> [(page: UInt64, count: UInt64)] {
        switch owner {
        case .space(let id):
            let space = records.addressSpaces[Int(id) - 1]
            return Array(zip(space.runPage, space.runLength)).map { (page: $0, count: $1) }
        case .object(let id):
            let object = records.memoryObjects[Int(id) - 1]
            return Array(zip(object.runPage, object.runLength)).map { (page: $0, count: $1) }
        case .shared(let id):
            let set = records.sharedPages[Int(id) - 1]
            return Array(zip(set.runPage, set.runLength)).map { (page: $0, count: $1) }
        }
    }

    private func write(
        _ runs: ArraySlice<(page: UInt64, count: UInt64)>, of task: HostPid, _ writer: inout PageWriter, progress: (UInt64) throws -> Void
    ) throws {
        var slice: [(start: UInt64, length: UInt64)] = []
        var inSlice: UInt64 = 0
        for run in runs {
            var page = run.page
            var left = run.count
            while left > 0 {
                let part = min(left, Self.sliceLength - inSlice)
                slice.append((page * pageSize, part * pageSize))
                inSlice += part
                page += part
                left -= part
                if inSlice == Self.sliceLength {
                    try writer.append(slice, of: task.rawValue)
                    try progress(writer.written)
                    slice.removeAll(keepingCapacity: true)
                    inSlice = 0
                }
            }
        }
        try writer.append(slice, of: task.rawValue)
    }

    private mutating func begin(_ owner: PageOrigin.Owner, _ pages: UInt64) throws {
        var description = ImagePageDescription()
        switch owner {
        case .space(let id):
            description.owner = .addressSpace
            description.id = id
        case .object(let id):
            description.owner = .memoryObject
            description.id = id
        case .shared(let id):
            description.owner = .sharedPages
            description.id = id
        }
        description.pages = pages
        try put(encoder.pagesBegin(description))
    }
}
