import CKernel
import Glibc
import Testing

@testable import Kernel

/// Pages of this process and of children that were forked from it. (The children make system calls only.)
@Suite struct SharedPageLookTests {
    private struct Unmapped: Error {}

    private static let pages: UInt64 = 64

    /// Two children stop at once; the second one has changed page 40 before.
    private static func family() throws -> (first: UInt64, members: [Int32]) {
        let size = Int(pages * pageSize)
        guard let area = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), area != MAP_FAILED else {
            throw Unmapped()
        }
        madvise(area, size, MADV_NOHUGEPAGE)
        for page in 0..<Int(pages) { memset(area + page * Int(pageSize), Int32(page + 1), Int(pageSize)) }
        let children = try (0..<2).map { number in
            let child = try Processes.fork()
            if child == 0 {
                if number == 1 { (area + 40 * Int(pageSize)).storeBytes(of: 0xff, as: UInt8.self) }
                _ = ckernel_syscall(Int(SYS_kill), Int(getpid()), Int(SIGSTOP), 0, 0, 0, 0)
                Processes.exitNow(0)
            }
            var status: Int32 = 0
            #expect(waitpid(child, &status, WUNTRACED) == child)
            return child
        }
        return (UInt64(UInt(bitPattern: area)) / pageSize, [getpid()] + children)
    }

    private static func end(_ members: [Int32]) {
        for child in members.dropFirst() {
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
        }
    }

    /// However few pages are looked at at a time: down to one of each member.
    @Test(.enabled(if: geteuid() == 0, "frame numbers are shown to root only"), arguments: [1, 50, 1 << 20])
    func framesTell(window: Int) throws { try check(comparesContents: false, window: window) }

    @Test(arguments: [1, 7, 1 << 20])
    func contentsTell(window: Int) throws { try check(comparesContents: true, window: window) }

    private func check(comparesContents: Bool, window: Int) throws {
        let (first, pids) = try Self.family()
        defer { Self.end(pids) }
        // Holes that differ: page 10 and 11 are no part of the first, page 20 to 29 none of the second.
        let all = first..<first + Self.pages
        let members = [
            SharedPageLook.Member(task: pids[0], runs: [first..<first + 10, first + 12..<all.upperBound]),
            SharedPageLook.Member(task: pids[1], runs: [first..<first + 20, first + 30..<all.upperBound]),
            SharedPageLook.Member(task: pids[2], runs: [all]),
        ]
        let found = try SharedPageLook.findings(among: members, comparesContents: comparesContents, window: window)
        typealias Finding = SharedPageLook.Finding
        #expect(
            found == [
                Finding(pages: first..<first + 10, classes: [[0, 1, 2]]),
                Finding(pages: first + 10..<first + 12, classes: [[1, 2]]),
                Finding(pages: first + 12..<first + 20, classes: [[0, 1, 2]]),
                Finding(pages: first + 20..<first + 30, classes: [[0, 2]]),
                Finding(pages: first + 30..<first + 40, classes: [[0, 1, 2]]),
                Finding(pages: first + 40..<first + 41, classes: [[0, 1]]),
                Finding(pages: first + 41..<all.upperBound, classes: [[0, 1, 2]]),
            ])
    }
}
