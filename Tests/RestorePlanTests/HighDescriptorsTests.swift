import CheckpointImage
import StepProgram
import Testing
import TreeModel

@testable import RestorePlan

/// The numbers of descriptors while the tree is built.
@Suite struct HighDescriptorsTests {
    typealias High = RestorePlan.HighDescriptors

    private func make(
        _ need: High.Need, used: Set<UInt32>, own: Set<UInt32> = [], limit: UInt64 = 1 << 20
    ) -> High? {
        High(need, above: used.max() ?? 0, used: { used }, own: own, limit: limit)
    }

    /// The number of every role, in order.
    private func numbers(_ high: High, _ need: High.Need) -> [UInt32] {
        [high.timeNamespace, high.lastPid] + (0..<UInt32(need.mounts)).map(high.mount) + (0...2).map(high.standard)
            + [high.image, high.scratch, high.standard(3)] + (0..<need.handed).map(high.handed) + (0..<need.objects).map(high.object)
            + (0..<need.files).map(high.file) + (0..<need.sharers).map { high.scratch(ofSharer: $0 + 1) }
    }

    private func inside(_ number: UInt32, _ ranges: [ClosedRange<UInt32>]) -> Bool { ranges.contains { $0.contains(number) } }

    // MARK: Above the programs

    @Test func theyAreAboveAllThatProgramsUse() throws {
        let need = High.Need(objects: 2, files: 3)
        let high = try #require(make(need, used: [0, 1, 2, 99]))
        #expect(numbers(high, need) == Array(100..<113))
        #expect(high.others == [0...99] && high.above == 113 ... .max)
        #expect(high.all == [100 ... .max] && high.dropped == [102 ... .max] && high.mounts.isEmpty)
    }

    @Test func theLowestNumbersStayFree() throws {
        #expect(try #require(make(High.Need(), used: [])).base == 64)
        // As many as crrestart has open besides.
        #expect(try #require(make(High.Need(), used: [], own: Set(3..<23))).base == 84)
    }

    @Test func whatCrrestartHasOpenIsLeftAlone() throws {
        let high = try #require(make(High.Need(objects: 5), used: [3], own: [70, 200]))
        #expect(high.base == 201)
    }

    // MARK: Between the programs' numbers

    @Test func theHighestFreeNumbersAreTakenBelowTheLimit() throws {
        let need = High.Need(mounts: 2, objects: 1)
        let high = try #require(make(need, used: [0, 1, 2, 250, 253, 255], limit: 256))
        #expect(numbers(high, need) == [242, 243, 244, 245, 246, 247, 248, 249, 251, 252, 254])
        #expect(high.others.contains(250...250) && high.others.contains(253...253))
        // The programs' own numbers are installed by then: exactly these are closed.
        for number: UInt32 in [250, 253, 255] { #expect(!inside(number, high.all) && !inside(number, high.dropped)) }
        #expect(high.above == 255 ... .max)
    }

    @Test func tooFewFreeNumbersAreNone() {
        #expect(make(High.Need(), used: Set(0..<250), limit: 256) == nil)
        #expect(make(High.Need(objects: 1 << 20), used: []) == nil)
        // The lowest numbers are not given away.
        #expect(make(High.Need(objects: 100), used: [127], limit: 128) == nil)
    }

    /// Whatever is used: all numbers differ, none is used, below the limit; what is closed covers them, and nothing else that
    /// a program has.
    @Test(arguments: 0..<400) func nothingEverCollides(seed: UInt64) throws {
        var random = SplitMix(seed)
        let limit = UInt64.random(in: 64...1200, using: &random)
        let used = Set((0..<Int.random(in: 0...250, using: &random)).map { _ in UInt32.random(in: 0..<UInt32(limit), using: &random) })
        let own = Set((0..<Int.random(in: 0...200, using: &random)).map { _ in UInt32.random(in: 3..<UInt32(limit), using: &random) })
        let need = High.Need(
            mounts: Int.random(in: 0...3, using: &random), handed: Int.random(in: 0...3, using: &random),
            objects: Int.random(in: 0...200, using: &random), files: Int.random(in: 0...200, using: &random),
            sharers: Int.random(in: 0...20, using: &random))
        guard let high = make(need, used: used, own: own, limit: limit) else {
            let free = (UInt32(own.count + 64)..<max(UInt32(limit), UInt32(own.count + 64))).filter { !used.contains($0) && !own.contains($0) }
            #expect(free.count < need.count)
            return
        }
        let all = numbers(high, need)
        #expect(Set(all).count == need.count && Set(all).isDisjoint(with: used) && Set(all).isDisjoint(with: own))
        #expect(all.allSatisfy { UInt64($0) < limit && Int($0) >= own.count + 64 })
        for number in 0..<UInt32(limit) {
            let isHigh = Set(all).contains(number)
            #expect(inside(number, high.others) == (!isHigh && number < all.max()!))
            if isHigh { #expect(inside(number, high.all)) }
            if used.contains(number) { #expect(!inside(number, high.all) && !inside(number, high.dropped)) }
        }
        let late = Set(all.prefix(2 + need.mounts))
        for number in all { #expect(inside(number, high.dropped) == !late.contains(number)) }
        for number in all { #expect(inside(number, high.mounts) == all[2..<2 + need.mounts].contains(number)) }
    }

    // MARK: Of an image

    @Test func registrationsCountAsUsed() throws {
        var sample = Sample()
        let event = sample.addFile(.event(.init()), at: [(1, 8)])
        let epoll = sample.addFile(.epoll(.init()), at: [(1, 9)])
        sample.watch(epoll, sample.records.openFiles[event].id, number: 999, events: 1, data: 0)
        #expect(try sample.valid().high.base == 1000)
        sample.facts.hardLimits[7] = 1000
        let high = try sample.valid().high
        #expect(high.others.contains { $0.contains(8) } && high.base > 900 && !inside(999, high.all))
    }

    @Test func tooLowALimitIsAFinding() throws {
        var sample = Sample()
        _ = sample.addFile(.event(.init()), at: [(1, 8)])
        sample.facts.hardLimits[7] = 64
        let found = try #require(sample.refusals().last { $0.object == "descriptors" })
        #expect(found.reason == "9 are needed besides those of the programs, and 64 are allowed here in all")
        #expect(found.help == "raise the hard limit: ulimit -Hn 82")
        sample.facts.mayRaiseLimits = true
        #expect(try sample.valid().high.base == 64)
    }

    @Test func whatTheRootInheritsIsInstalledLast() throws {
        var sample = Sample()
        _ = sample.addFile(.event(.init()), at: [(0, 8)])
        sample.options.handed = [7, 90]
        let plan = RestorePlan(for: try sample.valid())
        #expect(plan.high.base == 91)
        let steps = plan.launchpad.programs[0].steps.filter { $0.note.contains("--fd") }
        #expect(steps.map(\.arguments) == [
            [.number(plan.high.handed(0)), 7, 0], [.number(plan.high.handed(1)), 90, 0],
        ])
        #expect(!plan.launchpad.programs[1].steps.contains { $0.note.contains("--fd") })
        sample.options.handed = [8]
        #expect(try sample.refusals().map(\.object) == ["descriptor 8"])
    }
}
