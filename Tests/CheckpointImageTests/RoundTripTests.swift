import CheckpointImage
import Testing

@Suite struct RoundTripTests {
    @Test func bothReadersGiveBackWhatWasWritten() throws {
        let records = Sample.records()
        let bytes = try Sample.image(records)
        for image in [try readFile(bytes), try readPipe(bytes), try readPipe(bytes, inPieces: 7)] {
            #expect(image.header == records.header)
            #expect(image.processes == records.processes)
            #expect(image.threads == records.threads)
            #expect(image.addressSpaces == records.addressSpaces)
            #expect(image.fileTables == records.fileTables)
            #expect(image.openFiles == records.openFiles)
            #expect(image.pipes == records.pipes)
            #expect(image.memoryObjects == records.memoryObjects)
            #expect(image.semaphoreSets == records.semaphoreSets)
            #expect(image.terminals == records.terminals)
            #expect(image.directories == records.directories)
            #expect(image.signalActions == records.signalActions)
            #expect(image.namespaces == records.namespaces)
        }
    }

    @Test func sectionsOfAFileLieOnPageBoundaries() throws {
        let records = Sample.records()
        let bytes = try Sample.image(records)
        let image = try readFile(bytes)
        #expect(image.pageSections.map(\.owner) == Sample.owners(records).map(\.0))
        for section in image.pageSections {
            #expect(section.offset % 4096 == 0)
            let start = Int(section.offset)
            #expect(
                Array(bytes[start..<start + Int(section.byteCount)])
                    == Sample.pages(section.owner, count: section.pages))
        }
        #expect(image.pageCount == 7)
    }

    @Test func lookups() throws {
        let image = try CheckpointImage(validating: Sample.records())
        #expect(image.root.pid == 10)
        #expect(image.threads(of: 10).map(\.tid) == [10, 11])
        #expect(image.threads(of: 13).isEmpty)
        #expect(image.children(of: 10).map(\.pid) == [12])
        #expect(image.process(13)?.state == .zombie)
        #expect(image.thread(99) == nil)
        #expect(image.openFile(3)?.pipeEnd.pipe == 1)
        #expect(image.directories(2)?.umask == 0o022 && image.signalActions(2)?.actions.count == 1)
        #expect(image.namespace(1)?.kind == .pid && image.namespace(2) == nil)
    }

    /// A caller that reads pages from the pipe itself: what was read ahead comes first.
    @Test func pagesTakenByTheCaller() throws {
        let bytes = try Sample.image()
        var reader = SequentialImageReader(DripSource(bytes, 1500))
        _ = try reader.readMetadata()
        var seen: [UInt64: [UInt8]] = [:]
        while let section = try reader.nextSection() {
            var pages = try reader.bufferedPages()
            while reader.remainingBytes > 0 {
                let more = reader.source.read(upTo: Int(min(4096, reader.remainingBytes)))
                reader.tookPages(more.span.bytes)
                pages += more
            }
            _ = try reader.endSection()
            seen[UInt64(section.id) + UInt64(section.owner.rawValue) << 32] = pages
        }
        #expect(seen[2] == Sample.pages(PageOwner(.addressSpace, 2), count: 3))
        #expect(seen.count == 3)
    }
}
