import CKernel
import Glibc
import Testing

@testable import Kernel

/// Pages of this process itself, read as those of another one.
@Suite struct PageReadingTests {
    private struct Unmapped: Error {}

    /// Eight pages: the first four and the last one only this process has once, two it has mapped twice, one is a hole in
    /// memory without permissions.
    private static func area() throws -> UnsafeMutableRawPointer {
        let size = Int(pageSize)
        guard let area = mmap(nil, 8 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), area != MAP_FAILED else {
            throw Unmapped()
        }
        for page in 0..<8 { memset(area + page * size, Int32(page + 1), size) }
        let file = try NamelessFile.memory(named: "shared")
        try NamelessFile.setSize(file.number, UInt64(2 * size))
        let again = mmap(nil, 2 * size, PROT_READ | PROT_WRITE, MAP_SHARED, file.number, 0)
        guard let again, again != MAP_FAILED,
            mmap(area + 4 * size, 2 * size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.number, 0) != MAP_FAILED
        else { throw Unmapped() }
        for page in 0..<2 {
            memset(again + page * size, Int32(page + 5), size)
            // Maps it a second time.
            _ = (area + (4 + page) * size).load(as: UInt8.self)
        }
        mprotect(area + 6 * size, size, PROT_NONE)
        return area
    }

    @Test func pagesThatNobodyElseHas() throws {
        let start = UInt64(UInt(bitPattern: try Self.area()))
        let end = start + 8 * pageSize
        var pages = try OwnPages(of: getpid())
        let first = try pages.stretch(from: start, to: end)
        #expect(first.isOwn && first.end == start + 4 * pageSize)
        let second = try pages.stretch(from: first.end, to: end)
        #expect(!second.isOwn && second.end == start + 6 * pageSize)
        let third = try pages.stretch(from: second.end, to: end)
        #expect(third.isOwn && third.end == end)
        // Not further than asked.
        #expect(try pages.stretch(from: start, to: start + pageSize).end == start + pageSize)
    }

    /// Whoever has them, and whatever may be read of them: all come in their order.
    @Test func allKindsAreRead() throws {
        let start = UInt64(UInt(bitPattern: try Self.area()))
        let output = try NamelessFile.memory(named: "output")
        var writer = PageWriter(to: output.number)
        try writer.append([(start + pageSize, 6 * pageSize), (start, pageSize), (start + 7 * pageSize, pageSize)], of: getpid())
        let sums = try writer.finishSection()
        let bytes = try output.read(upTo: Int(8 * pageSize), at: 0)
        let order: [UInt8] = [2, 3, 4, 5, 6, 7, 1, 8]
        let expected: [UInt8] = order.flatMap { page in [UInt8](repeating: page, count: Int(pageSize)) }
        #expect(bytes == expected && sums.count == 1 && writer.written == 8 * pageSize)
    }

    private static let size = 24 << 20

    /// As many words as make 24 MiB; each is its own place.
    private static func words() throws -> UnsafeMutableRawPointer {
        guard let area = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), area != MAP_FAILED else { throw Unmapped() }
        for place in stride(from: 0, to: size, by: 8) { area.storeBytes(of: UInt64(place), toByteOffset: place, as: UInt64.self) }
        return area
    }

    /// So much that a second thread writes, in two sections, with other bytes written between them.
    @Test func secondThreadKeepsTheOrder() throws {
        let area = try Self.words()
        defer { munmap(area, Self.size) }
        let start = UInt64(UInt(bitPattern: area))
        let half = UInt64(Self.size / 2)
        let output = try NamelessFile.memory(named: "output")
        var writer = PageWriter(to: output.number, isFile: true)
        try writer.append([(start, half)], of: getpid())
        var sums = try writer.finishSection()
        try output.write([UInt8](repeating: 7, count: 4096))
        try writer.append([(start + half, half)], of: getpid())
        sums += try writer.finishSection()
        #expect(writer.written == UInt64(Self.size))
        for (offset, from) in [(UInt64(0), UInt64(0)), (half + 4096, half)] {
            let bytes = try output.read(upTo: Int(half), at: offset)
            let isRight = bytes.withUnsafeBytes { bytes in
                bytes.baseAddress.map { memcmp($0, area + Int(from), bytes.count) == 0 } ?? false
            }
            #expect(bytes.count == Int(half) && isRight)
        }
        #expect(try output.read(upTo: 4096, at: half) == [UInt8](repeating: 7, count: 4096))
        #expect(try sums == PageCheck.checksums(of: output, at: 0, length: half) + PageCheck.checksums(of: output, at: half + 4096, length: half))
    }

    /// The same from a file.
    @Test func secondThreadWritesFiles() throws {
        let area = try Self.words()
        defer { munmap(area, Self.size) }
        let source = try NamelessFile.memory(named: "source")
        try source.write([UInt8](UnsafeRawBufferPointer(start: area, count: Self.size)))
        let output = try NamelessFile.memory(named: "output")
        var writer = PageWriter(to: output.number, isFile: true)
        try writer.append([(UInt64(0), UInt64(Self.size))], ofFile: source)
        let sums = try writer.finishSection()
        let bytes = try output.read(upTo: Self.size, at: 0)
        let isRight = bytes.withUnsafeBytes { bytes in bytes.baseAddress.map { memcmp($0, area, bytes.count) == 0 } ?? false }
        #expect(bytes.count == Self.size && isRight)
        #expect(try sums == PageCheck.checksums(of: output, at: 0, length: UInt64(Self.size)))
    }

    /// A file that may not grow: the error of the second thread comes to the one that reads.
    @Test func secondThreadTellsItsErrors() throws {
        let area = try Self.words()
        defer { munmap(area, Self.size) }
        let output = try NamelessFile.memory(named: Array("output".utf8), canBeSealed: true)
        try NamelessFile.setSize(output.number, 12 << 20)
        #expect(fcntl(output.number, 1033, 4) == 0, "F_ADD_SEALS, F_SEAL_GROW")
        var writer = PageWriter(to: output.number, isFile: true)
        let error = #expect(throws: SystemError.self) {
            try writer.append([(UInt64(UInt(bitPattern: area)), UInt64(Self.size))], of: getpid())
            _ = try writer.finishSection()
        }
        #expect(error?.number == EPERM)
    }
}
