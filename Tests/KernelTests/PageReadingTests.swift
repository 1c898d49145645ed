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
}
