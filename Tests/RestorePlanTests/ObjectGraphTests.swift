import CheckpointImage
import Testing

@testable import RestorePlan

/// Where open files are made and in which order.
@Suite struct ObjectGraphTests {
    typealias Bundle = ObjectGraph.Bundle

    /// 1 creates 2 and 3, and 3 creates 4.
    private static let creator: [UInt32: UInt32] = [2: 1, 3: 1, 4: 3]

    /// From a process to the root.
    static func line(_ pid: UInt32, _ creator: [UInt32: UInt32]) -> [UInt32] {
        var line = [pid]
        while let last = line.last, let next = creator[last] { line.append(next) }
        return line
    }

    private func graph(
        _ files: [ImageOpenFile], _ holders: KeyValuePairs<UInt32, [UInt32]>, standing: Set<UInt32> = []
    ) -> ObjectGraph {
        ObjectGraph(
            files, holders: holders.map { (pid: $0.key, files: $0.value) }, root: 1, place: { 100 + UInt32($0) },
            stands: { standing.contains($0.id) }
        ) { first, second in
            let others = Self.line(second, Self.creator)
            return Self.line(first, Self.creator).first { others.contains($0) } ?? 1
        }
    }

    private func file(_ id: UInt32, _ object: ImageOpenFile.OneOf_Object = .event(.init())) -> ImageOpenFile {
        var file = ImageOpenFile()
        file.id = id
        file.object = object
        return file
    }

    private func epoll(_ id: UInt32, watching files: UInt32...) -> ImageOpenFile {
        var epoll = ImageEpoll()
        epoll.registrations = files.map { file in
            var one = ImageRegistration()
            one.file = file
            return one
        }
        return file(id, .epoll(epoll))
    }

    private func end(_ id: UInt32, of pipe: UInt32, isWriter: Bool) -> ImageOpenFile {
        var end = ImagePipeEnd()
        end.pipe = pipe
        end.writeEnd = isWriter
        return file(id, .pipeEnd(end))
    }

    private func bundles(_ files: [UInt32]...) -> [Bundle] { files.map { Bundle(files: $0) } }

    private func proc(_ id: UInt32, of process: UInt32, thread: UInt32 = 0) -> ImageOpenFile {
        var proc = ImageProcFile()
        (proc.process, proc.thread) = (process, thread)
        return file(id, .proc(proc))
    }

    // MARK: Files that wait for a process

    /// A process that is there when the file is made, is the maker or one of its creators.
    @Test func earlyWhereTheProcessExists() {
        let files = graph([proc(1, of: 3), proc(2, of: 1), proc(3, of: 3)], [3: [1, 3], 4: [2, 3]])
        #expect(files.late.isEmpty && files.awaited.isEmpty)
        #expect(files.own == [3: bundles([1]), 4: bundles([2])] && files.shared == [3: bundles([3])])
    }

    @Test func lateWhereItMayNotExist() {
        let files = graph([proc(1, of: 3), proc(2, of: 4)], [1: [2], 2: [1, 2], 4: [1, 2]])
        #expect(files.late == [1: [2], 2: [1]] && files.awaited == [3, 4])
        #expect(files.own.isEmpty && files.shared.isEmpty)
        #expect(files.fetched == [2: [.init(file: 2, maker: 1)], 4: [.init(file: 1, maker: 2), .init(file: 2, maker: 1)]])
        #expect(files.fetchers == [1: 1, 2: 2])
    }

    @Test func lastWhereAThreadIsMeant() {
        let files = graph([proc(1, of: 3, thread: 7), proc(2, of: 3, thread: 3)], [3: [1, 2]])
        #expect(files.own == [3: bundles([2])] && files.late.isEmpty && files.kept == [3: [1, 2]])
    }

    // MARK: One holder or several

    @Test func oneProcessMakesItsOwn() {
        // 2 has it at two descriptors.
        let graph = graph([file(1)], [2: [1, 1]])
        #expect(graph.own == [2: bundles([1])] && graph.shared.isEmpty)
        #expect(graph.kept == [2: [1]])
        #expect(graph.number == [1: 100])
        #expect(graph.unheldFiles.isEmpty)
    }

    @Test(arguments: [([2, 4], 1), ([2, 3], 1), ([3, 4], 3), ([1, 4], 1), ([4, 3], 3), ([2, 3, 4], 1)] as [([UInt32], UInt32)])
    func lowestCommonCreatorMakesIt(holders: [UInt32], maker: UInt32) {
        let graph = ObjectGraph(
            [file(1)], holders: holders.map { (pid: $0, files: [1]) }, root: 1, place: { 100 + UInt32($0) }, stands: { _ in false }
        ) { first, second in
            let others = Self.line(second, Self.creator)
            return Self.line(first, Self.creator).first { others.contains($0) } ?? 1
        }
        #expect(graph.shared == [maker: bundles([1])] && graph.own.isEmpty)
        // The first holder keeps it.
        #expect(graph.kept == [holders[0]: [1]])
    }

    /// A process makes what its descendants share and what it has for itself at different times.
    @Test func ownAndShared() {
        let graph = graph([file(1), file(2), file(3)], [3: [1, 2], 4: [2, 3]])
        #expect(graph.own == [3: bundles([1]), 4: bundles([3])])
        #expect(graph.shared == [3: bundles([2])])
        #expect(graph.kept == [3: [1, 2], 4: [3]])
    }

    /// The descriptors of crrestart take no number, and are made nowhere.
    @Test func whatSomethingStandsInForIsNotMade() {
        let graph = graph([file(1, .outside(.init())), file(2), epoll(3, watching: 1)], [2: [1, 2, 3], 4: [1]], standing: [1])
        #expect(graph.number == [2: 100, 3: 101])
        #expect(graph.own == [2: bundles([2], [3])] && graph.shared.isEmpty)
    }

    // MARK: Bundles

    @Test func bothEndsOfAPipeAreMadeTogether() {
        let ends = [end(1, of: 7, isWriter: false), end(2, of: 7, isWriter: true)]
        #expect(graph(ends, [2: [1, 2]]).own == [2: bundles([1, 2])])
        // Each of the two has one end: both are made where both come from.
        let apart = graph(ends, [2: [1], 4: [2]])
        #expect(apart.shared == [1: bundles([1, 2])] && apart.own.isEmpty)
        #expect(apart.kept == [2: [1], 4: [2]])
        #expect(graph(ends, [4: [1], 3: [2]]).shared == [3: bundles([1, 2])])
        // Ends of two pipes are two bundles.
        let two = [end(1, of: 7, isWriter: false), end(2, of: 8, isWriter: true)]
        #expect(graph(two, [2: [1], 4: [2]]).own == [2: bundles([1]), 4: bundles([2])])
    }

    @Test func furtherOpenFilesOfOneEndComeAlong() {
        let ends = [end(1, of: 7, isWriter: false), end(2, of: 7, isWriter: true), file(3), end(4, of: 7, isWriter: false)]
        #expect(graph(ends, [2: [1, 2, 3, 4]]).own == [2: bundles([1, 2, 4], [3])])
        #expect(graph(ends, [4: [1, 2, 3], 2: [4]]).shared == [1: bundles([1, 2, 4])])
    }

    /// An end that no process holds any more is made with the other one, if it is in the image.
    @Test func anEndThatNoTableHolds() {
        let graph = graph([end(1, of: 7, isWriter: false), end(2, of: 7, isWriter: true)], [2: [1]])
        #expect(graph.shared == [1: bundles([1, 2])])
        #expect(graph.kept == [2: [1], 1: [2]] && graph.unheldFiles == [2])
    }

    // MARK: References

    @Test func whatIsReferredToComesFirst() {
        #expect(graph([epoll(1, watching: 2), file(2)], [2: [1, 2]]).own == [2: bundles([2], [1])])
        let chain = [epoll(1, watching: 2, 4), epoll(2, watching: 3), file(3), file(4)]
        #expect(graph(chain, [2: [1, 2, 3, 4]]).own == [2: bundles([3], [2], [4], [1])])
        // An end that is watched brings its whole pipe.
        let pipe = [epoll(1, watching: 3), end(2, of: 7, isWriter: false), end(3, of: 7, isWriter: true)]
        #expect(graph(pipe, [2: [1, 2, 3]]).own == [2: bundles([2, 3], [1])])
    }

    /// The process that connects needs both: the other one's file is made where both get it from.
    @Test func aWatchedFileOfAnotherProcessIsInherited() {
        let graph = graph([file(1), epoll(2, watching: 1)], [2: [2], 4: [1]])
        #expect(graph.shared == [1: bundles([1])] && graph.own == [2: bundles([2])])
        #expect(graph.kept == [2: [2], 4: [1]])
    }

    /// One holder connects; what it watches needs to be there alone.
    @Test func anEpollOfSeveralIsConnectedByItsFirstHolder() {
        let graph = graph([file(1), epoll(2, watching: 1)], [3: [1, 2], 4: [2]])
        #expect(graph.shared == [3: bundles([2])] && graph.own == [3: bundles([1])])
        #expect(graph.kept == [3: [1, 2]])
    }

    @Test func circlesDoNoHarm() {
        let two = graph([epoll(1, watching: 2), epoll(2, watching: 1)], [2: [1, 2]])
        #expect(two.own == [2: bundles([2], [1])] && two.kept == [2: [1, 2]])
        #expect(graph([epoll(1, watching: 1)], [2: [1]]).own == [2: bundles([1])])
        // Only one of the circle is held, and a file that the last of them watches.
        let three = graph([epoll(1, watching: 2), epoll(2, watching: 3), epoll(3, watching: 1, 4), file(4)], [4: [2]])
        #expect(three.own == [4: bundles([4], [3], [2], [1])])
        #expect(three.kept == [4: [2, 3, 1, 4]] && three.unheldFiles == [1, 3, 4])
        // In different processes.
        let apart = graph([epoll(1, watching: 2), epoll(2, watching: 1)], [2: [1], 4: [2]])
        #expect(apart.shared == [1: bundles([2], [1])] && apart.kept == [2: [1], 4: [2]])
    }

    // MARK: Files that no table holds

    @Test func anUnheldFileIsMadeByTheProcessThatConnects() {
        let graph = graph([file(1), epoll(2, watching: 1)], [3: [2]])
        #expect(graph.own == [3: bundles([1], [2])] && graph.shared.isEmpty)
        #expect(graph.kept == [3: [2, 1]] && graph.unheldFiles == [1])
        #expect(graph.number == [1: 100, 2: 101])
    }

    /// Along several references, and by the first of two that refer to it.
    @Test func unheldFilesOfUnheldFiles() {
        let chain = graph([file(1), epoll(2, watching: 1), epoll(3, watching: 2)], [4: [3]])
        #expect(chain.own == [4: bundles([1], [2], [3])] && chain.kept == [4: [3, 2, 1]])
        let two = graph([file(1), epoll(2, watching: 1), epoll(3, watching: 1)], [2: [2], 4: [3]])
        #expect(two.shared == [1: bundles([1])] && two.own == [2: bundles([2]), 4: bundles([3])])
        #expect(two.kept == [2: [2, 1], 4: [3]])
    }

    /// Nothing is left out: the root makes what nothing leads to, and what that refers to.
    @Test func whatNothingLeadsToIsHeldByTheRoot() {
        let graph = graph([epoll(1, watching: 2), file(2), file(3)], [4: [3]])
        #expect(graph.own == [1: bundles([2], [1]), 4: bundles([3])])
        #expect(graph.kept == [1: [1, 2], 4: [3]] && graph.unheldFiles == [1, 2])
    }

    @Test func longChainsAreNoDepth() {
        let count: UInt32 = 50_000
        let files = (1...count).map { $0 == count ? file($0) : epoll($0, watching: $0 + 1) }
        let graph = graph(files, [2: [1]])
        #expect(graph.own[2]?.count == Int(count) && graph.own[2]?.first == Bundle(files: [count]))
        #expect(graph.own[2]?.last == Bundle(files: [1]))
    }
}

/// What holds of every graph.
@Suite struct ObjectGraphPropertyTests {
    private struct Numbers: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 11 ^ state << 33
        }
    }

    @Test(arguments: 0..<300) func everyFileIsMadeOnceWhereItsHoldersComeFrom(seed: UInt64) throws {
        var random = Numbers(state: seed)
        let processes = UInt32.random(in: 1...8, using: &random)
        var creator: [UInt32: UInt32] = [:]
        if processes > 1 { for pid in 2...processes { creator[pid] = UInt32.random(in: 1..<pid, using: &random) } }
        let count = UInt32.random(in: 1...12, using: &random)
        let files = (1...count).map { id in
            var file = ImageOpenFile()
            file.id = id
            switch UInt8.random(in: 0..<4, using: &random) {
            case 0: file.pipeEnd.pipe = UInt32.random(in: 1...3, using: &random)
            case 1, 2:
                file.epoll.registrations = (0..<Int.random(in: 0...3, using: &random)).map { _ in
                    var one = ImageRegistration()
                    one.file = UInt32.random(in: 1...count, using: &random)
                    return one
                }
                file.object = .epoll(file.epoll)
            default: file.object = .event(.init())
            }
            return file
        }
        let standing = Set((1...count).filter { _ in UInt8.random(in: 0..<8, using: &random) == 0 })
        let holders = (1...processes).map { pid in
            (pid: pid, files: (0..<Int.random(in: 0...4, using: &random)).map { _ in UInt32.random(in: 1...count, using: &random) })
        }
        let line = { (pid: UInt32) in ObjectGraphTests.line(pid, creator) }
        let graph = ObjectGraph(
            files, holders: holders, root: 1, place: { 64 + UInt32($0) }, stands: { standing.contains($0.id) }
        ) { first, second in
            let others = line(second)
            return line(first).first { others.contains($0) } ?? 1
        }
        let makers = (graph.own.map { ($0, $1, true) } + graph.shared.map { ($0, $1, false) }).flatMap { pid, bundles, isOwn in
            bundles.flatMap { bundle in bundle.files.map { (file: $0, pid: pid, isOwn: isOwn) } }
        }
        #expect(makers.map(\.file).sorted() == (1...count).filter { !standing.contains($0) })
        #expect(Set(graph.number.values) == Set((0..<makers.count).map { 64 + UInt32($0) }) && graph.number.count == makers.count)
        // Every file is kept by one process.
        #expect(graph.kept.values.flatMap { $0 }.sorted() == Array(1...count))
        let keeper = Dictionary(graph.kept.flatMap { pid, files in files.map { ($0, pid) } }) { first, _ in first }
        for maker in makers {
            // Its holders, its keeper, and those that connect something with it.
            var users = Set(holders.filter { $0.files.contains(maker.file) }.map(\.pid)).union(keeper[maker.file].map { [$0] } ?? [])
            for file in files where file.saved?.references.contains(.openFile(maker.file)) == true {
                if let pid = keeper[file.id] { users.insert(pid) }
            }
            for user in users { #expect(line(user).contains(maker.pid), "file \(maker.file) made by \(maker.pid), used by \(user)") }
            if maker.isOwn { #expect(users == [maker.pid]) }
        }
    }
}
