internal import CheckpointImage
internal import Kernel
internal import RestorePlan

/// Takes pages from their source and puts them where they belong: into memory objects before the fork, into the
/// memory of tasks that wait for them afterwards. Where tasks read in place, it compares checksums meanwhile.
///
/// Each load has a gate of its own: a process goes on as soon as its own pages are there.
struct PageFeeder {
    private(set) var source: any PageSource
    let watch: Watch
    private static let pieceSize = 1 << 20
    /// Shared pages that came before the memory was there for which they are.
    private var early: [(load: Int, pieces: [PageSchedule.Piece], bytes: [UInt8])] = []
    private var earlyLoads: [Int] = []

    /// No process waits for the tree.
    let detaches: Bool
    /// Called when no page is missing any more, by another process as a rule.
    let pagesAreThere: () -> Void

    init(_ source: any PageSource, detaches: Bool, pagesAreThere: @escaping () -> Void, _ watch: Watch) {
        self.pagesAreThere = pagesAreThere
        self.source = source
        self.detaches = detaches
        self.watch = watch
    }

    var image: CheckpointImage { source.image }
    var delivery: PageDelivery { source.delivery }
    var number: Int32 { source.number }

    /// Whether pages can be fed to another tree after this one has failed.
    mutating func beginAgain() -> Bool {
        (early, earlyLoads) = ([], [])
        return source.beginAgain()
    }

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
        if let pages = source.wanted { return try feedWanted(pages, to: &tree) }
        let total = image.pageCount * UInt64(ImageFormat.pageSize)
        var done: UInt64 = 0
        while let owner = try source.nextSection() {
            if owner.kind == .memoryObject { throw Self.strangers(owner) }
            if owner.kind != .sharedPages { try deliverEarly(to: &tree) }
            switch source.delivery {
            case .inPlace: try source.checkPages()
            case .staged: try feed(owner, to: &tree)
            }
            done += tree.plan.pages.loads(of: owner).first.map { tree.plan.pages.loads[$0].byteCount } ?? 0
            watch.progress("load", done, total)
            try tree.drain()
            try watch.check()
        }
        try deliverEarly(to: &tree)
    }

    /// One section, into the memory of all that load it.
    private mutating func feed(_ owner: PageOwner, to tree: inout ForkedTree) throws(RestoreError) {
        let loads = tree.plan.pages.loads(of: owner)
        if loads.isEmpty { throw Self.strangers(owner) }
        if owner.kind != .sharedPages, tree.plan.pages.loads.indices.contains(where: { tree.plan.pages.loads[$0].isBeforeFork && !isFilled($0, tree) }) {
            throw RestoreError("cannot load \(owner): EINVAL (shared pages come too late in the image)", exitStatus: 2)
        }
        var targets: [(load: Int, walk: LoadWalk, waits: Bool)] = []
        for index in loads {
            let load = tree.plan.pages.loads[index]
            // The memory of what is created later is not there yet.
            let waits = owner.kind == .sharedPages && tree.plan.pages.awaitsOthers(index) { isFilled($0, tree) }
            if !waits { try awaitMemory(of: index, owner, &tree) }
            targets.append((index, LoadWalk(load.transfers), waits))
        }
        while let bytes = try nextPiece() {
            for target in targets.indices {
                for (range, places) in targets[target].walk.places(for: bytes.count) {
                    let part = range.count == bytes.count ? bytes : Array(bytes[range])
                    if targets[target].waits {
                        early.append((targets[target].load, places, part))
                    } else {
                        try put(part, places, targets[target].load, &tree)
                    }
                }
            }
            try tree.drain()
            try watch.check()
        }
        for target in targets {
            if target.waits { earlyLoads.append(target.load) } else { publish(target.load, tree) }
        }
    }

    private func isFilled(_ load: Int, _ tree: borrowing ForkedTree) -> Bool {
        tree.plan.pageGates[load].map { tree.memory.load32($0.filled) != 0 } ?? true
    }

    func publish(_ load: Int, _ tree: borrowing ForkedTree) {
        if let gate = tree.plan.pageGates[load] { tree.memory.publish(gate.filled, 1) }
    }

    func awaitMemory(of load: Int, _ owner: PageOwner, _ tree: inout ForkedTree) throws(RestoreError) {
        guard let gate = tree.plan.pageGates[load] else { throw Self.strangers(owner) }
        try tree.pump(watch) { $0.memory.load32(gate.mapped) != 0 }
    }

    func put(
        _ bytes: [UInt8], _ places: [PageSchedule.Piece], _ index: Int, _ tree: inout ForkedTree
    ) throws(RestoreError) {
        let load = tree.plan.pages.loads[index]
        guard let program = tree.plan.program(of: load.loader) else { throw Self.strangers(load.owner) }
        do throws(SystemError) {
            try RemoteMemory.write(tree.hostPids[program], places.map { ($0.start, $0.byteCount) }, bytes)
        } catch {
            // A task that has failed says more about it than its memory.
            try tree.drain()
            throw RestoreError(cannot: "load \(load.owner)", error)
        }
    }

    /// Puts shared pages in place that came before the memory was there for which they are. Those before forks come first.
    private mutating func deliverEarly(to tree: inout ForkedTree) throws(RestoreError) {
        for load in earlyLoads.sorted() {
            try awaitMemory(of: load, tree.plan.pages.loads[load].owner, &tree)
            for (_, places, bytes) in early.filter({ $0.load == load }) { try put(bytes, places, load, &tree) }
            publish(load, tree)
        }
        early = []
        earlyLoads = []
    }

    private mutating func nextPiece() throws(RestoreError) -> [UInt8]? {
        let bytes = try source.readPages(upTo: Self.pieceSize)
        return bytes.isEmpty ? nil : bytes
    }

    static func strangers(_ owner: PageOwner) -> RestoreError {
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

/// Walks over the bytes of a section, of which a load takes some.
struct LoadWalk {
    private let pieces: [(offset: UInt64, piece: PageSchedule.Piece)]
    private var index = 0
    private var position: UInt64 = 0

    init(_ transfers: [PageSchedule.Transfer]) {
        var pieces: [(offset: UInt64, piece: PageSchedule.Piece)] = []
        for transfer in transfers {
            var offset = transfer.offset
            for piece in transfer.pieces {
                pieces.append((offset, piece))
                offset += piece.byteCount
            }
        }
        self.pieces = pieces
    }

    /// The bytes up to this offset are not wanted.
    mutating func skip(to offset: UInt64) { position = max(position, offset) }

    /// Which of the next `count` bytes are wanted, side by side, and where they go.
    mutating func places(for count: Int) -> [(range: Range<Int>, pieces: [PageSchedule.Piece])] {
        let end = position + UInt64(count)
        var found: [(range: Range<Int>, pieces: [PageSchedule.Piece])] = []
        while index < pieces.count, pieces[index].offset < end {
            let (offset, piece) = pieces[index]
            let from = max(offset, position)
            let to = min(offset + piece.byteCount, end)
            let part = PageSchedule.Piece(start: piece.start + (from - offset), byteCount: to - from)
            let range = Int(from - position)..<Int(to - position)
            if let last = found.last, last.range.upperBound == range.lowerBound {
                found[found.count - 1].range = last.range.lowerBound..<range.upperBound
                found[found.count - 1].pieces.append(part)
            } else {
                found.append((range, [part]))
            }
            if offset + piece.byteCount > end { break }
            index += 1
        }
        position = end
        return found
    }
}
