package import CheckpointImage
internal import PidControl

/// The ways in which saved pages get from the image into the memory of tasks.
package enum PageDelivery: Sendable, Equatable {
    /// The image is a plain file that can be read at offsets: tasks read their pages from it themselves.
    case inPlace
    /// Tasks map their memory and wait at a gate until the monitor has put the pages there.
    case staged
}

/// Two words of the launchpad that belong to one load of a staged restart.
package struct PageGate: Sendable, Equatable {
    /// The loader advances it to 1 when its memory is mapped and writable.
    package var mapped: UInt64
    /// The monitor sets it to 1 when the pages are there and their checksums are right.
    package var filled: UInt64
    /// The loader's descriptor by which the monitor answers page faults, from `mapped` to `filled`; nil: no pages come later.
    package var faults: UInt32?
}

/// Which pages are loaded when, by which process, and in which transfers.
///
/// Pages of an address space are loaded after its process has created all its children, so that a fork copies as little as
/// possible. Pages that several address spaces share copy-on-write are loaded before the first fork, by the lowest process
/// that creates all their holders: the forks share them again. A process unmaps inherited pages that it does not hold.
package struct PageSchedule: Sendable {
    /// Consecutive bytes of one owner, inside one mapping.
    package struct Piece: Sendable, Equatable {
        package var start: UInt64
        package var byteCount: UInt64

        package init(start: UInt64, byteCount: UInt64) {
            self.start = start
            self.byteCount = byteCount
        }
    }

    /// What one preadv(2) reads: `byteCount` bytes from `offset`, counted from the first byte of the owner's section.
    package struct Transfer: Sendable, Equatable {
        package var offset: UInt64
        package var byteCount: UInt64
        package var pieces: [Piece]
    }

    /// Memory that is mapped for a load before the fork, as an address space of the image has it.
    package struct Area: Sendable, Equatable {
        package var space: UInt32
        /// Index among the mappings of that space.
        package var mapping: Int
        package var range: Range<UInt64>
    }

    package enum Moment: Sendable, Equatable {
        /// Before the loader creates its first child. It maps the areas first.
        case beforeFork([Area])
        /// After the last child was created, into the memory of this address space, which is mapped by then.
        case afterFork(space: UInt32)
    }

    /// The pages of one owner, put into the memory of one process.
    package struct Load: Sendable, Equatable {
        package var owner: PageOwner
        /// Pid of the image.
        package var loader: UInt32
        package var moment: Moment
        package var transfers: [Transfer]
        /// Memory whose pages come while the tree runs, ascending: see ``LateMemory``.
        package var late: [Range<UInt64>] = []

        /// Bytes that are loaded before the tree runs.
        package var byteCount: UInt64 { transfers.reduce(0) { $0 + $1.byteCount } }
        package var isBeforeFork: Bool { if case .beforeFork = moment { true } else { false } }
    }

    /// What an address space begins with because a creator of its process loaded it before the fork.
    struct Inheritance: Equatable {
        /// Mapped already, and stays.
        var kept = AddressRanges()
        /// Memory of other processes: unmapped before anything else is mapped.
        var dropped = AddressRanges()
        /// Pages inside of `kept` that only other processes hold: discarded, so that they read as if never touched.
        var discarded = AddressRanges()
        /// Shared pages that the process loads for itself, because it cannot inherit them.
        var late = AddressRanges()
    }

    package let delivery: PageDelivery
    /// Loads before a fork come first.
    package let loads: [Load]
    private let creation: CreationPlan
    private var before: [UInt32: [Int]] = [:]
    private var after: [UInt32: [Int]] = [:]
    private var ofOwner: [PageOwner: [Int]] = [:]
    private var inheritances: [UInt32: Inheritance] = [:]

    /// - Parameters:
    ///   - image: validated: runs are ascending, and each lies in private mappings.
    ///   - owners: which process loads an address space that several share.
    ///   - isLazy: pages come while the tree runs, where that can be.
    ///   - occupied: where nothing may be loaded before a fork, e.g. the vdso of a process.
    init(
        _ image: CheckpointImage, _ creation: CreationPlan, _ owners: SharedOwners, delivery: PageDelivery, isLazy: Bool = false,
        occupied: [Range<UInt64>] = []
    ) {
        self.delivery = delivery
        self.creation = creation
        var loaders: [UInt32: UInt32] = [:]
        for process in image.processes where process.state != .zombie && owners.owns(.memory, process) {
            let space = image.spaceID(of: process)
            if loaders[space] == nil { loaders[space] = process.pid }
        }
        let placing = SharedPagePlacing(image, creation, loaders, occupied: occupied)
        inheritances = placing.inheritances
        var loads = placing.loads
        for space in image.addressSpaces where !space.runPage.isEmpty {
            guard let loader = loaders[space.id] else { continue }
            let late = isLazy ? LateMemory.ranges(of: space, inheritances[space.id] ?? Inheritance()) : AddressRanges()
            let early = late.isEmpty ? nil : AddressRanges([0..<UInt64.max]).subtracting(late)
            loads.append(
                Load(
                    owner: PageOwner(.addressSpace, space.id), loader: loader, moment: .afterFork(space: space.id),
                    transfers: Self.transfers(space.runPage, space.runLength, only: early, borders: space.mappings.map(\.end)),
                    late: late.ranges))
        }
        self.loads = loads
        for (index, load) in loads.enumerated() {
            ofOwner[load.owner, default: []].append(index)
            switch load.moment {
            case .beforeFork: before[load.loader, default: []].append(index)
            case .afterFork(let space): after[space, default: []].append(index)
            }
        }
    }

    /// Whether the tree cannot unfold before the monitor has put pages in place.
    package var isFedBeforeForks: Bool { delivery == .staged && !before.isEmpty }

    /// Indices of the loads of a process before it creates its first child.
    package func loads(beforeForkBy pid: UInt32) -> [Int] { before[pid] ?? [] }

    /// Indices of the loads into an address space after its process has created its last child.
    package func loads(afterForkInto space: UInt32) -> [Int] { after[space] ?? [] }

    /// Indices of all loads of the pages of one section of the image.
    package func loads(of owner: PageOwner) -> [Int] { ofOwner[owner] ?? [] }

    /// Whether the memory of a load cannot be there yet, because its process is created, or goes on, only after other loads.
    package func awaitsOthers(_ load: Int, _ isDone: (Int) -> Bool) -> Bool {
        let one = loads[load]
        return loads.prefix { $0.isBeforeFork || $0.owner.kind == .sharedPages }.indices.contains { index in
            let other = loads[index]
            guard other.isBeforeFork, index != load, !isDone(index) else { return false }
            return other.loader == one.loader ? !one.isBeforeFork : creation.created(other.loader, one.loader)
        }
    }

    func inheritance(of space: UInt32) -> Inheritance { inheritances[space] ?? Inheritance() }
}

extension PageSchedule {
    /// The addresses of the vdso while processes are created: that of this process, and those of all tasks.
    static func occupied(by vdso: VdsoPlan, in valid: ValidImage) -> [Range<UInt64>] {
        (valid.facts.vdsoParts + valid.image.addressSpaces.flatMap(vdso.parts)).map { $0.start..<$0.end }
    }

    /// preadv(2) takes no more vectors (IOV_MAX).
    static let mostPieces = 1024
    /// A read or write moves no more bytes (MAX_RW_COUNT of include/linux/fs.h).
    static let mostBytes: UInt64 = 2 << 30 - 4096

    /// Runs of pages as transfers.
    ///
    /// - Parameters:
    ///   - part: the pages that are wanted; nil: all.
    ///   - borders: ends of mappings, ascending: no piece reaches beyond one.
    static func transfers(
        _ runPage: [UInt64], _ runLength: [UInt64], only part: AddressRanges? = nil, borders: [UInt64]
    ) -> [Transfer] {
        var transfers: [Transfer] = []
        var current = Transfer(offset: 0, byteCount: 0, pieces: [])
        var border = 0
        func end() {
            if !current.pieces.isEmpty { transfers.append(current) }
            current = Transfer(offset: current.offset + current.byteCount, byteCount: 0, pieces: [])
        }
        func take(_ range: Range<UInt64>, at offset: UInt64) {
            var start = range.lowerBound
            while start < range.upperBound {
                let place = offset + (start - range.lowerBound)
                if current.offset + current.byteCount != place { end() }
                if current.pieces.isEmpty { current.offset = place }
                while border < borders.count && borders[border] <= start { border += 1 }
                let inside = border < borders.count ? min(range.upperBound, borders[border]) : range.upperBound
                let byteCount = min(inside - start, mostBytes - current.byteCount)
                current.pieces.append(Piece(start: start, byteCount: byteCount))
                current.byteCount += byteCount
                if current.pieces.count == mostPieces || current.byteCount == mostBytes { end() }
                start += byteCount
            }
        }
        let pageSize = UInt64(ImageFormat.pageSize)
        var offset: UInt64 = 0
        var wanted = 0
        for (page, length) in zip(runPage, runLength) {
            let run = page * pageSize..<(page + length) * pageSize
            if let part {
                while wanted < part.ranges.count, part.ranges[wanted].upperBound <= run.lowerBound { wanted += 1 }
                var next = wanted
                while next < part.ranges.count, part.ranges[next].lowerBound < run.upperBound {
                    let range = part.ranges[next].clamped(to: run)
                    take(range, at: offset + (range.lowerBound - run.lowerBound))
                    next += 1
                }
            } else {
                take(run, at: offset)
            }
            offset += length * pageSize
        }
        end()
        return transfers
    }
}
