internal import CheckpointImage
internal import Kernel

/// Writes what was collected as an image: metadata first, then the pages straight from the tasks.
final class ImageOutput {
    private let collector: Collector
    private let output: OutputFile
    private var encoder = ImageEncoder()
    private(set) var bytes: UInt64 = 0

    init(_ collector: Collector, to output: OutputFile) {
        self.collector = collector
        self.output = output
    }

    func write(progress: (UInt64, UInt64) -> Void) throws(CaptureError) {
        do {
            try writeMetadata()
            try writePages(progress)
            try put(encoder.tail())
        } catch let error as ImageError {
            throw CaptureError("\(error)")
        } catch let error as SystemError {
            let help =
                switch error.name {
                case "ENOSPC", "EDQUOT": "the disk is full: free some space, or write elsewhere"
                case "EPIPE": "the reader of the pipe is gone"
                default: error.call
                }
            throw CaptureError(cannot: "write image \(output.name)", error, help: help)
        } catch {
            throw CaptureError("cannot write image \(output.name): \(error)")
        }
        bytes = encoder.offset
    }

    /// Tells a reader of a stream why it ends.
    func fail(_ reason: String) {
        guard output.isStream, let record = try? encoder.failure(reason: reason, status: 1) else { return }
        try? output.write(record)
    }

    private func put(_ record: [UInt8]) throws { try output.write(record) }

    private func writeMetadata() throws {
        var buffer = encoder.start()
        func add(_ record: [UInt8]) throws {
            buffer += record
            if buffer.count > 1 << 20 {
                try put(buffer)
                buffer = []
            }
        }
        try add(encoder.record(.header, id: 0, collector.header))
        for process in collector.imageProcesses { try add(encoder.record(.process, id: process.pid, process)) }
        for thread in collector.imageThreads { try add(encoder.record(.thread, id: thread.tid, thread)) }
        for space in collector.spaces { try add(encoder.record(.addressSpace, id: space.id, space)) }
        for table in collector.tables { try add(encoder.record(.fileTable, id: table.id, table)) }
        for file in collector.files { try add(encoder.record(.openFile, id: file.id, file)) }
        for pipe in collector.pipes { try add(encoder.record(.pipe, id: pipe.id, pipe)) }
        for object in collector.objects { try add(encoder.record(.memoryObject, id: object.id, object)) }
        for set in collector.semaphoreSets { try add(encoder.record(.semaphoreSet, id: set.id, set)) }
        try put(buffer)
    }

    private func writePages(_ progress: (UInt64, UInt64) -> Void) throws {
        let total = collector.pageCount * pageSize
        var pages = PageWriter(to: output.descriptorNumber)
        for (object, source) in zip(collector.objects, collector.objectSources) {
            guard case .file(let path) = source else { continue }
            let count = object.runLength.reduce(0, +)
            if count == 0 { continue }
            try begin(.memoryObject, object.id, count)
            try pages.append(
                zip(object.runPage, object.runLength).map { ($0 * pageSize, $1 * pageSize) },
                ofFile: try Descriptor.open(path))
            try put(encoder.pagesEnd(checksums: pages.finishSection()))
            progress(pages.written, total)
        }
        for (space, source) in zip(collector.spaces, collector.spaceSources) {
            guard case .task(let task) = source else { continue }
            let count = space.runLength.reduce(0, +)
            if count == 0 { continue }
            try begin(.addressSpace, space.id, count)
            // In slices, so that progress is seen.
            var slice: [(start: UInt64, length: UInt64)] = []
            var inSlice: UInt64 = 0
            for (page, length) in zip(space.runPage, space.runLength) {
                var page = page
                var left = length
                while left > 0 {
                    let part = min(left, 16384 - inSlice)
                    slice.append((page * pageSize, part * pageSize))
                    inSlice += part
                    page += part
                    left -= part
                    if inSlice == 16384 {
                        try pages.append(slice, of: task)
                        progress(pages.written, total)
                        slice.removeAll(keepingCapacity: true)
                        inSlice = 0
                    }
                }
            }
            try pages.append(slice, of: task)
            try put(encoder.pagesEnd(checksums: pages.finishSection()))
            progress(pages.written, total)
        }
    }

    private func begin(_ owner: ImagePageDescription.Owner, _ id: UInt32, _ pages: UInt64) throws {
        var description = ImagePageDescription()
        description.owner = owner
        description.id = id
        description.pages = pages
        try put(encoder.pagesBegin(description))
    }
}

extension Collector {
    var pageCount: UInt64 {
        spaces.reduce(0) { $0 + $1.runLength.reduce(0, +) } + objects.reduce(0) { $0 + $1.runLength.reduce(0, +) }
    }
}
