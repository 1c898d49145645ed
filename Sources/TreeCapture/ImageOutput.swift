internal import CheckpointImage
internal import Kernel

/// Writes an image: the records first, then the pages straight from the tasks.
struct ImageOutput {
    private let records: ImageRecords
    /// Where the pages of each owner are read from.
    var pages: [PageOrigin]
    private let output: OutputFile
    private let seal: OutputSeal?
    private let form: PageForm
    private var encoder = ImageEncoder()
    /// The image up to its first page description.
    private(set) var metadata: [UInt8] = []
    private(set) var bytes: UInt64 = 0
    /// Bytes of pages that were not compared, because the kernel says that they are as in the parent image.
    private(set) var knownBytes: UInt64 = 0

    /// Pages of a task that are read with one request, so that progress is seen.
    private static let sliceLength: UInt64 = 16384

    /// - Parameters:
    ///   - pages: where the pages of each owner are read from; the records tell which they are.
    ///   - seal: what signs and encrypts all that goes to `output`; nil: nothing does.
    init(_ records: ImageRecords, pages: [PageOrigin], as form: PageForm = PageForm(), to output: OutputFile, _ seal: OutputSeal?) {
        self.seal = seal
        self.records = records
        self.pages = pages
        self.output = output
        self.form = form
    }

    /// Makes the bytes of the metadata.
    mutating func encode() throws(CaptureError) { do throws(ImageError) { metadata = try encoder.metadata(records) } catch { throw CaptureError("\(error)") } }

    /// - Preconditions: the metadata are encoded, and the tasks that pages are read from are stopped.
    mutating func write(progress: (UInt64, UInt64) throws(CaptureError) -> Void) throws(CaptureError) {
        do {
            try put(metadata)
            metadata = []
            try writePages(progress)
            try put(encoder.tail())
            try seal?.finish(output)
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
        bytes = seal?.written ?? encoder.offset
    }

    /// Tells a reader of a stream why it ends.
    mutating func fail(_ reason: String) {
        guard output.isStream, let record = try? encoder.failure(reason: reason, status: 1) else { return }
        try? output.write(record)
        try? seal?.finish(output)
    }

    private func put(_ record: [UInt8]) throws { try output.write(record) }

    /// An image without its pages.
    static func bytes(of records: ImageRecords) throws(ImageError) -> [UInt8] {
        var encoder = ImageEncoder()
        return try encoder.metadata(records) + encoder.tail()
    }

    private mutating func writePages(_ progress: (UInt64, UInt64) throws(CaptureError) -> Void) throws {
        let total =
            (records.addressSpaces.reduce(0) { $0 + $1.runLength.reduce(0, +) }
                + records.memoryObjects.reduce(0) { $0 + $1.runLength.reduce(0, +) }
                + records.sharedPages.reduce(0) { $0 + $1.runLength.reduce(0, +) }) * pageSize
        let chunks = form.isPlain ? nil : try ChunkedOutput(compression: form.compression, to: output)
        var writer = writer(chunks)
        for origin in pages {
            let runs = runs(of: origin.owner)
            let count = runs.reduce(0) { $0 + $1.count }
            if count == 0 { continue }
            let comparison = try begin(origin.owner, runs, chunks)
            switch origin.source {
            case .file(let path):
                try writer.append(runs.map { ($0.page * pageSize, $0.count * pageSize) }, ofFile: try Descriptor.openToCopy(path))
            case .task(let task):
                for part in form.parts(of: origin.owner, runs, comparison) {
                    if let chunks, !part.checksums.isEmpty {
                        try writer.skip(checksums: part.checksums)
                        try chunks.leaveOut(part.checksums.count)
                    }
                    try write(part.runs[...], of: task, &writer) { done in try progress(done, total) }
                }
            case .tasks(let parts):
                for part in parts { try write(runs[part.runs], of: part.task, &writer) { done in try progress(done, total) } }
            }
            let checksums = try writer.finishSection()
            if let chunks { encoder.chunksWritten(chunks.end()) }
            try put(encoder.pagesEnd(checksums: checksums))
            try progress(writer.written, total)
        }
        knownBytes = (chunks?.knownPages ?? 0) * pageSize
    }

    private func writer(_ chunks: ChunkedOutput?) -> PageWriter {
        guard let chunks else { return PageWriter(to: output.descriptorNumber, through: output.filter, isFile: output.isRegularFile) }
        return PageWriter { pages throws(SystemError) in try chunks.take(pages) }
    }

    func runs(of owner: PageOrigin.Owner) -> [(page: UInt64, count: UInt64)] {
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

    private mutating func begin(
        _ owner: PageOrigin.Owner, _ runs: [(page: UInt64, count: UInt64)], _ chunks: ChunkedOutput?
    ) throws -> ParentComparison? {
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
        description.pages = runs.reduce(0) { $0 + $1.count }
        description.chunked = chunks != nil
        let comparison = form.comparison(PageOwner(description.owner, description.id), runs, records)
        description.parent = comparison?.id ?? 0
        try put(encoder.pagesBegin(description))
        chunks?.begin(comparison, known: form.known(of: owner, comparison))
        return comparison
    }
}
