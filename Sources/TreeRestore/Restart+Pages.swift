internal import CheckpointImage
internal import Kernel
internal import RestorePlan

/// Contents of memory: from a file, which tasks read in place, or from a stream, which only the monitor can read.
extension Restart {
    /// Contents of memory objects, from the file or from the stream, whose first sections they are.
    func fillObjects(
        _ objects: PreparedObjects, _ image: CheckpointImage, _ input: ImageInput,
        _ reader: inout SequentialImageReader<StreamSource>?, _ pending: inout ImagePageDescription?
    ) throws(RestoreError) {
        let places = Dictionary(zip(image.memoryObjects.map(\.id), 0...), uniquingKeysWith: { first, _ in first })
        do {
            while reader != nil {
                pending = try reader?.nextSection()
                guard let section = pending, section.owner == .memoryObject, let index = places[section.id] else { break }
                var walk = RunWalk(image.memoryObjects[index].runPage, image.memoryObjects[index].runLength)
                try eachPiece(of: &reader, &walk) { bytes, offset in try objects.write(bytes, at: offset, into: index) }
            }
            for (index, object) in image.memoryObjects.enumerated() {
                if reader == nil, let section = image.pageSection(of: PageOwner(.memoryObject, object.id)) {
                    try check(section, input)
                    var walk = RunWalk(object.runPage, object.runLength)
                    var offset = section.offset
                    while let (place, count) = walk.next(1 << 20) {
                        var done = 0
                        while done < count {
                            let bytes = try input.readAt(upTo: count - done, offset)
                            if bytes.isEmpty { throw SystemError(5, in: "the image is shorter than it was") }
                            try objects.write(bytes, at: place + UInt64(done), into: index)
                            offset += UInt64(bytes.count)
                            done += bytes.count
                        }
                    }
                }
                try objects.finish(object, index)
            }
        } catch let error as RestoreError {
            throw error
        } catch let error as ImageError {
            throw RestoreError(error, image: input.name)
        } catch let error as SystemError {
            throw RestoreError(cannot: "fill memory objects", error)
        } catch { throw RestoreError("cannot fill memory objects: \(error)") }
    }

    /// Hands the bytes of a section out, piece by piece, with the place where each belongs.
    private func eachPiece(
        of reader: inout SequentialImageReader<StreamSource>?, _ walk: inout RunWalk,
        _ body: ([UInt8], UInt64) throws -> Void
    ) throws {
        while let bytes = try reader?.readPages(upTo: 1 << 20), !bytes.isEmpty {
            var done = 0
            while done < bytes.count, let (place, count) = walk.next(bytes.count - done) {
                try body(done == 0 && count == bytes.count ? bytes : Array(bytes[done..<done + count]), place)
                done += count
            }
        }
        _ = try reader?.endSection()
    }

    /// Pages from a stream go straight into the tasks that wait for them.
    func pushPages(
        _ tree: ForkedTree, _ image: CheckpointImage, _ reader: inout SequentialImageReader<StreamSource>?,
        _ pending: inout ImagePageDescription?
    ) throws(RestoreError) {
        var spaces: [UInt32: UInt32] = [:]
        for process in image.processes where process.state != .zombie { spaces[process.pid] = process.addressSpace }
        var users: [UInt32: Int] = [:]
        for (index, task) in tree.plan.tasks.enumerated() where task.isLeader {
            if let space = spaces[task.pid], users[space] == nil { users[space] = index }
        }
        do {
            while let section = pending {
                guard section.owner == .addressSpace, let space = image.addressSpace(section.id), let index = users[section.id]
                else { throw RestoreError("cannot load pages: they belong to nobody", exitStatus: 2) }
                let host = tree.hostPids[index]
                var walk = RunWalk(space.runPage, space.runLength)
                try eachPiece(of: &reader, &walk) { bytes, place in try RemoteMemory.write(host, at: place, bytes) }
                try tree.drain()
                if isInterrupted() { throw RestoreError.interrupted }
                pending = try reader?.nextSection()
            }
        } catch let error as RestoreError {
            throw error
        } catch let error as ImageError {
            throw RestoreError(error, image: "(standard input)")
        } catch let error as SystemError {
            throw RestoreError(cannot: "load pages", error)
        } catch { throw RestoreError("cannot load pages: \(error)") }
    }

    /// While the tasks read their pages in place, the monitor reads them, too, and compares checksums.
    func checkPages(_ tree: ForkedTree, _ image: CheckpointImage, _ input: ImageInput) throws(RestoreError) {
        let total = image.pageCount * 4096
        var done: UInt64 = 0
        for section in image.pageSections where section.owner.kind == .addressSpace {
            try check(section, input)
            done += section.byteCount
            progress("load", done, total)
            try tree.drain()
            if isInterrupted() { throw RestoreError.interrupted }
        }
    }

    private func check(_ section: PageSection, _ input: ImageInput) throws(RestoreError) {
        let file = Descriptor(owning: input.descriptor)
        let found: [UInt32]
        do throws(SystemError) {
            found = try PageCheck.checksums(of: file, at: section.offset, length: section.byteCount)
            _ = file.release()
        } catch {
            _ = file.release()
            throw RestoreError(cannot: "read image \(input.name)", error)
        }
        if found != section.checksums {
            let bad = zip(found, section.checksums).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? 0
            let place = section.offset + UInt64(bad) * UInt64(ImageFormat.checksumBlock)
            throw RestoreError(
                "cannot read image \(input.name): the pages at offset \(place) do not match their checksum (the file was damaged; nothing was restarted)",
                exitStatus: 2)
        }
    }
}
