import Synchronization
import Testing

@testable import Kernel

/// Values that other threads make ahead of their use.
@Suite struct MadeAheadTests {
    /// How often each index was made, and the largest one.
    private final class Calls: Sendable {
        let counts: Mutex<[Int]>
        let last = Mutex(0)

        init(_ count: Int) { counts = Mutex(Array(repeating: 0, count: count)) }

        func make(_ index: Int) -> Int {
            counts.withLock { $0[index] += 1 }
            last.withLock { $0 = max($0, index) }
            return index * 7
        }
    }

    @Test(arguments: [0, 1, 7, 16, 500]) func eachOnceInOrder(count: Int) {
        let calls = Calls(count)
        let ahead = MadeAhead(count, most: 50) { calls.make($0) }
        for index in 0..<count { #expect(ahead.take(index) == index * 7) }
        ahead.end()
        #expect(calls.counts.withLock { $0.allSatisfy { $0 == 1 } })
    }

    /// In any order, and some of them only; a second time it is made again.
    @Test func inAnyOrder() {
        let calls = Calls(300)
        let ahead = MadeAhead(300, most: 1000) { calls.make($0) }
        for index in (0..<300).reversed() where index % 3 != 0 { #expect(ahead.take(index) == index * 7) }
        #expect(ahead.take(4) == 28)
        ahead.end()
        #expect(calls.counts.withLock { counts in counts.indices.allSatisfy { counts[$0] <= ($0 == 4 ? 2 : 1) } })
    }

    /// Not more than asked for are held, and the threads end whether or not all was taken.
    @Test(arguments: [0, 100]) func endsEarly(taken: Int) {
        let calls = Calls(10_000)
        let ahead = MadeAhead(10_000, most: 40) { calls.make($0) }
        for index in 0..<taken { #expect(ahead.take(index) == index * 7) }
        ahead.end()
        #expect(calls.last.withLock { $0 } < taken + 40)
    }
}
