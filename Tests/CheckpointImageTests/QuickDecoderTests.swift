import FoundationEssentials
import SwiftProtobuf
import Testing

@testable import CheckpointImage

/// The quick decoder gives what that of the library gives, or leaves it to that.
@Suite struct QuickDecoderTests {
    private func expectSame<Body: Message & Equatable>(_ bodies: [Body]) throws {
        for body in bodies {
            let bytes: [UInt8] = try body.serializedBytes()
            #expect(QuickDecoder.decoded(bytes) == body)
            // As long as a part is well formed by chance, both agree about it.
            for count in bytes.indices {
                let part = Array(bytes[..<count])
                if let quick: Body = QuickDecoder.decoded(part) { #expect(try quick == Body(serializedBytes: part), "\(Body.self), \(count) bytes") }
            }
        }
    }

    @Test func everyRecord() throws {
        let records = Sample.records()
        try expectSame([records.header])
        try expectSame(records.processes)
        try expectSame(records.threads)
        try expectSame(records.addressSpaces)
        try expectSame(records.fileTables)
        try expectSame(records.openFiles)
        try expectSame(records.pipes)
        try expectSame(records.terminals)
        try expectSame(records.memoryObjects)
        try expectSame(records.semaphoreSets)
        try expectSame(records.messageQueues)
        try expectSame(records.directories)
        try expectSame(records.signalActions)
        try expectSame(records.namespaces)
        try expectSame(records.sharedPages)
        try expectSame(records.callFilters)
        var sums = ImagePageChecksums()
        sums.crc32C = [0, 1, .max, 0x1234_5678]
        try expectSame([sums])
    }

    /// Numbers at the ends of what a field holds, and a text beyond ASCII.
    @Test func extremes() throws {
        for value in [UInt64(0), 1, 127, 128, 1 << 32, 1 << 62, .max] {
            var mapping = ImageMapping()
            (mapping.start, mapping.protection) = (value, UInt32(truncatingIfNeeded: value))
            mapping.file.path = Data(repeating: UInt8(truncatingIfNeeded: value), count: Int(value % 300))
            var space = ImageAddressSpace()
            space.mappings = [mapping, ImageMapping()]
            space.runPage = [value, 0, value]
            var thread = ImageThread()
            (thread.scheduling.nice, thread.restartBlock.remaining) = (Int32(truncatingIfNeeded: value), value)
            var header = ImageHeader()
            (header.kernelRelease, header.begin.realtime) = ("größer \u{1F600}", Int64(bitPattern: value))
            try expectSame([space])
            try expectSame([thread])
            try expectSame([header])
        }
    }

    /// A message that comes in two parts is one, a number that comes twice is the second, and lists need not be packed.
    @Test func parts() throws {
        var first = ImageThread()
        (first.tid, first.scheduling.nice) = (7, -3)
        var second = ImageThread()
        (second.tid, second.scheduling.policy) = (8, 2)
        let both: [UInt8] = try first.serializedBytes() + second.serializedBytes()
        let quick: ImageThread = try #require(QuickDecoder.decoded(both))
        #expect(quick.tid == 8 && quick.scheduling.nice == -3 && quick.scheduling.policy == 2)
        #expect(try quick == ImageThread(serializedBytes: both))
    }

    @Test(arguments: [
        // Field 500, which no record has.
        [0xa0, 0x1f, 1], [0xa2, 0x1f, 1, 65],
        // Field 0; a key of five bytes and one bit more; groups.
        [0, 1], [0x88, 0x80, 0x80, 0x80, 0x10, 1], [0x0b, 0x0c], [0x0c],
        // The number of a process as a text, and as four bytes.
        [0x0a, 1, 65], [0x0d, 1, 2, 3, 4],
        // A varint without end, of eleven bytes, and of more than 64 bits.
        [0x08, 0x80], [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
    ] as [[UInt8]])
    func leftToTheLibrary(bytes: [UInt8]) { #expect(QuickDecoder.decoded(bytes) as ImageProcess? == nil) }

    @Test func textThatIsNone() throws {
        var header = ImageHeader()
        header.kernelRelease = "abc"
        let bytes: [UInt8] = try header.serializedBytes()
        let place = try #require(bytes.firstIndex(of: UInt8(ascii: "b")))
        var broken = bytes
        broken[place] = 0xff
        #expect(QuickDecoder.decoded(bytes) == header)
        #expect(QuickDecoder.decoded(broken) as ImageHeader? == nil)
    }

    /// Fields that are not known are kept by the library.
    @Test func unknownFieldsAreKept() throws {
        let bytes: [UInt8] = [0x08, 7, 0xa0, 0x1f, 1]
        let process: ImageProcess = try decode(bytes, .process, at: 0)
        #expect(process.pid == 7 && process.unknownFields.data.elementsEqual([0xa0, 0x1f, 1]))
    }
}
