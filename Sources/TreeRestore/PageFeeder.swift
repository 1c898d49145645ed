internal import CheckpointImage
internal import Kernel
internal import RestorePlan

/// Takes pages from their source and puts them where they belong: into memory objects before the fork, into the
/// memory of tasks that wait for them afterwards. Where tasks read in place, it compares checksums meanwhile.
///
/// Each load has a gate of its own: a process goes on as soon as its own pages are there.
struct PageFeeder {
    private var source: any PageSource
    private let watch: Watch
    private static let pieceSize = 1 << 20

    init(_ source: any PageSource, _ watch: Watch) {
        self.source = source
        self.watch = watch
    }

    var image: CheckpointImage { source.image }
    var delivery: PageDelivery { source.delivery }
    var number: Int32 { source.number }

    /// Whether pages can be fed to another tree after this one has failed.
    mutating func beginAgain() -> Bool { source.beginAgain() }

    /// Fills memory objects, and cuts each to its size: its last page was written whole.
    mutating func fill(_ objects: inout PreparedObjects) throws(RestoreError) {
        let places = Dictionary(zip(image.memoryObjects.map(\.id), 0...), uniquingKeysWith: { first, _ in first })
        while let owner = try source.nextObject() {
            guard let index = places[owner.id] else { throw Self.strangers(owner) }
            let object = image.memoryObjects[index]
            let pageSize = UInt64(ImageFormat.pageSize)
            var walk = PieceWalk(
                zip(object.runPage, object.runLength).map { PageSchedule.Piece(start: $0 * pageSize, byteCount: $1 * pageSize) })
            while let bytes = try nextPiece() {
                var done = 0
                for place in try walk.places(for: bytes.count, of: owner) {
                    let part = Array(bytes[done..<done + Int(place.byteCount)])
                    do throws(SystemError) { try objects.write(part, at: place.start, into: index) } catch {
                        throw RestoreError(cannot: "fill \(object.name.asText)", error)
                    }
                    done += part.count
                }
            }
            try watch.check()
        }
        for (index, object) in image.memoryObjects.enumerated() {
            do throws(SystemError) { try objects.finish(object, index) } catch {
                throw RestoreError(cannot: "fill \(object.name.asText)", error)
            }
        }
    }

    /// Goes through all pages of address spaces, in the order of the image.
    ///
    /// - If it fails: the tree is as far as it was, and is to be undone.
    mutating func feed(_ tree: inout ForkedTree) throws(RestoreError) {
        let total = image.pageCount * UInt64(ImageFormat.pageSize)
        var done: UInt64 = 0
        while let owner = try source.nextSection() {
            if owner.kind == .memoryObject { throw Self.strangers(owner) }
            switch source.delivery {
            case .inPlace: try source.checkPages()
            case .staged: try feed(owner, to: &tree)
            }
            done += tree.plan.pages.loads(of: owner).first.map { tree.plan.pages.loads[$0].byteCount } ?? 0
            watch.progress("load", done, total)
            try tree.drain()
            try watch.check()
        }
    }

    /// One section, into the memory of all that load it.
    private mutating func feed(_ owner: PageOwner, to tree: inout ForkedTree) throws(RestoreError) {
        let loads = tree.plan.pages.loads(of: owner)
        if loads.isEmpty { throw Self.strangers(owner) }
        try checkOrder(owner, loads, tree)
        var targets: [(host: Int32, walk: PieceWalk)] = []
        for index in loads {
            let load = tree.plan.pages.loads[index]
            guard let gate = tree.plan.pageGates[index], let program = tree.plan.program(of: load.loader) else {
                throw Self.strangers(owner)
            }
            try tree.pump(watch) { $0.memory.load32(gate.mapped) != 0 }
            targets.append((tree.hostPids[program], PieceWalk(load.transfers.flatMap(\.pieces))))
        }
        while let bytes = try nextPiece() {
            for target in targets.indices {
                let places = try targets[target].walk.places(for: bytes.count, of: owner)
                do throws(SystemError) {
                    try RemoteMemory.write(targets[target].host, places.map { ($0.start, $0.byteCount) }, bytes)
                } catch {
                    // A task that has failed says more about it than its memory.
                    try tree.drain()
                    throw RestoreError(cannot: "load \(owner)", error)
                }
            }
            try tree.drain()
            try watch.check()
        }
        for index in loads {
            if let gate = tree.plan.pageGates[index] { tree.memory.publish(gate.filled, 1) }
        }
    }

    /// What is loaded before a fork comes first: the tasks that load the others would never be born.
    private func checkOrder(_ owner: PageOwner, _ loads: [Int], _ tree: borrowing ForkedTree) throws(RestoreError) {
        let plan = tree.plan
        guard plan.pages.isFedBeforeForks, loads.contains(where: { !plan.pages.loads[$0].isBeforeFork }) else { return }
        for (index, load) in plan.pages.loads.enumerated() where load.isBeforeFork {
            guard let gate = plan.pageGates[index], tree.memory.load32(gate.filled) == 0 else { continue }
            throw RestoreError("cannot load \(owner): EINVAL (the \(load.owner) come too late in the image)", exitStatus: 2)
        }
    }

    private mutating func nextPiece() throws(RestoreError) -> [UInt8]? {
        let bytes = try source.readPages(upTo: Self.pieceSize)
        return bytes.isEmpty ? nil : bytes
    }

    private static func strangers(_ owner: PageOwner) -> RestoreError {
        RestoreError("cannot load \(owner): EINVAL (no process waits for them: the image is damaged or made up)", exitStatus: 2)
    }
}

/// Walks over the places that a stream of bytes belongs to.
struct PieceWalk {
    private let pieces: [PageSchedule.Piece]
    private var index = 0
    private var inPiece: UInt64 = 0

    init(_ pieces: [PageSchedule.Piece]) { self.pieces = pieces }

    /// Where the next `count` bytes go.
    ///
    /// - Errors: there are more bytes than places.
    mutating func places(for count: Int, of owner: PageOwner) throws(RestoreError) -> [PageSchedule.Piece] {
        var places: [PageSchedule.Piece] = []
        var left = UInt64(count)
        while left > 0 {
            guard index < pieces.count else {
                throw RestoreError("cannot load \(owner): EINVAL (the image holds more of them than it says)", exitStatus: 2)
            }
            let part = min(left, pieces[index].byteCount - inPiece)
            places.append(PageSchedule.Piece(start: pieces[index].start + inPiece, byteCount: part))
            inPiece += part
            left -= part
            if inPiece == pieces[index].byteCount { (index, inPiece) = (index + 1, 0) }
        }
        return places
    }
}
