internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// Brings pages while the tree runs (`--lazy`): those that tasks wait for, and all others meanwhile; then it makes huge pages of those
/// that a restart without `--lazy` would have loaded into some. Ends when all is done or the memory is gone, and leaves nothing in the tree.
///
/// A process of its own, so that nothing depends on the life of crrestart: see ``PageServerGuard``. It leaves by `exitNow` only.
struct PageServer {
    private var spaces: [LateSpace]
    private let pages: CheckedPages
    private let pagesAreThere: () -> Void
    /// Pages that no task waits for are brought, too.
    private var fillsAhead = true
    /// Processes that this process had a descriptor of from the beginning, for the guard, and those that were forked since, with their descriptors.
    private let known: Set<Int32>
    private var children: [Int32: Int32] = [:]
    private let tree = ProcessTree()

    /// Nanoseconds between two looks while a process moves or drops memory, and at memory where no page is brought ahead.
    private static let shortPause: Int64 = 20_000
    private static let longPause: Int32 = 200
    /// How often, and after how many nanoseconds each time, a page is tried again for which there is no memory.
    private static let memoryTries = 100
    private static let memoryPause: Int64 = 100_000_000

    /// - Parameter pagesAreThere: called when no page is missing any more.
    init(_ spaces: [LateSpace], _ pages: CheckedPages, known: [Int32], pagesAreThere: @escaping () -> Void) {
        self.pagesAreThere = pagesAreThere
        self.spaces = spaces
        self.pages = pages
        self.known = Set(known)
    }

    mutating func run() -> Never {
        Processes.setName("crrestart-pages")
        do throws(RestoreError) {
            for space in spaces {
                for address in space.first { try fill(space, at: address) }
            }
            while !spaces.isEmpty { try turn() }
        } catch {
            PageServerGuard.say("\(error.sentence); the tree is ended, because it would lack pages")
            Processes.exitNow(error.exitStatus)
        }
        pagesAreThere()
        pages.finish()
        Processes.exitNow(0)
    }

    /// Answers what has happened meanwhile, then brings 256 KiB that no task waits for.
    private mutating func turn() throws(RestoreError) {
        let looks = spaces.map { Readiness.Look($0.faults) }
        // Tasks may wait that were told of while another page was put in place.
        let isAwaited = fillsAhead || spaces.contains { !$0.waiting.isEmpty }
        let readable = Set(Readiness.wait(looks, milliseconds: isAwaited ? 0 : Self.longPause).readable)
        for space in spaces where readable.contains(space.faults) || !space.waiting.isEmpty { try answer(space) }
        if fillsAhead {
            do throws(SystemError) { try FaultPoint.fillAhead.pass("fill ahead") } catch { fillsAhead = false }
        }
        if let space = spaces.last, fillsAhead {
            if let address = space.missing.nextAddress { try fill(space, at: address) } else { space.makeHugePage() }
        }
        for space in spaces where !fillsAhead && !PageFaults.isAlive(space.faults) { space.isGone = true }
        spaces.removeAll { space in
            // Tasks that wait for a page of zeros go on: it is memory like any other from now on.
            if space.isDone { DescriptorTable.close(space.faults) }
            return space.isDone
        }
    }

    private mutating func answer(_ space: LateSpace) throws(RestoreError) {
        try takeEvents(of: space)
        while let address = space.waiting.popLast() {
            if space.missing.block(at: address) == nil { try zero(space, at: address) } else { try fill(space, at: address) }
        }
    }

    /// The kernel lets a process that forks, moves or drops memory go on when this has been read, and lets no page be put in place until
    /// then: what is known here is never older than the memory.
    private mutating func takeEvents(of space: LateSpace) throws(RestoreError) {
        while true {
            let events: [PageFaults.Event]
            do throws(SystemError) { events = try PageFaults.events(space.faults) } catch { throw failure(space, error) }
            if events.isEmpty { return }
            for event in events {
                switch event {
                case .touched(let address): space.waiting.append(address)
                case .moved(let from, let to): space.missing.move(from, to: to)
                case .dropped(let range): space.missing.remove(range)
                case .unmapped(let range): space.missing.unmap(range)
                case .forked(let faults): spaces.insert(child(of: space, faults), at: 0)
                }
            }
        }
    }

    private mutating func child(of space: LateSpace, _ faults: Int32) -> LateSpace {
        forgetTheDead()
        var fresh: [Int32] = []
        for pid in (try? tree.processes(below: space.process)) ?? [] where !known.contains(pid) && children[pid] == nil {
            // The guard ends what is open here.
            guard let handle = try? Descriptor.open(process: pid) else { continue }
            children[pid] = handle.release()
            fresh.append(pid)
        }
        let child = space.forked(faults, fresh.count == 1 ? fresh[0] : space.process)
        // What the kernel gives to no child (MADV_WIPEONFORK) it does not tell.
        for map in (try? MemoryMap.detailed(of: space.process)) ?? [] where map.flags.contains(.wipeOnFork) {
            child.missing.remove(map.start..<map.end)
        }
        return child
    }

    /// A program that forks over and over does not use up the descriptors.
    private mutating func forgetTheDead() {
        for space in spaces where space.isForked && !PageFaults.isAlive(space.faults) { space.isGone = true }
        for (pid, handle) in children where !PageFaults.exists(handle) {
            DescriptorTable.close(handle)
            children[pid] = nil
        }
    }

    /// Brings what is missing of the 256 KiB that the page at an address is in.
    private mutating func fill(_ space: LateSpace, at address: UInt64) throws(RestoreError) {
        guard let block = space.missing.block(at: address) else { return }
        let bytes: [UInt8]
        do throws(ImageError) { bytes = try pages.block(block, of: space.owner) } catch { throw RestoreError(error, image: pages.name) }
        let first = block * MissingPages.blockPages
        var parts = space.missing.partsOfBlock(at: address)
        var next = 0
        // Mappings can have been parted since: then page by page.
        var atMost = Int.max
        while next < parts.count, !space.isGone {
            let part = parts[next]
            let offset = Int(part.place - first) * ImageFormat.pageSize
            let count = min(Int(part.length), atMost)
            let outcome = try trying(space) { () throws(SystemError) in
                try PageFaults.copy(bytes, offset..<offset + count, to: part.start, space.faults)
            }
            var done = 0
            switch outcome {
            case .done(let count): done = count
            case .isThere: done = ImageFormat.pageSize
            case .isForeign where count > ImageFormat.pageSize:
                atMost = ImageFormat.pageSize
                continue
            // Nothing of ours is there any more, or it was never given to this child.
            case .isForeign: done = ImageFormat.pageSize
            case .isGone: space.isGone = true
            }
            space.missing.remove(part.start..<part.start + UInt64(done))
            // The kernel puts no page in place while one of these is under way.
            if done > 0, outcome == .done(done) { space.missing.settle() }
            if done < count {
                try settle(space)
                parts = space.missing.partsOfBlock(at: address)
                next = 0
            } else if UInt64(done) < part.length {
                parts[next] = part.from(part.start + UInt64(done))
            } else {
                next += 1
            }
        }
    }

    /// A page that the program has not used, or has dropped.
    private mutating func zero(_ space: LateSpace, at address: UInt64) throws(RestoreError) {
        while !space.isGone {
            let outcome = try trying(space) { () throws(SystemError) in try PageFaults.zero(at: address, space.faults) }
            switch outcome {
            case .done(let count) where count > 0: return space.missing.settle()
            case .done:
                try settle(space)
                if space.missing.block(at: address) != nil { return try fill(space, at: address) }
            case .isThere, .isForeign: return PageFaults.wake(at: address, space.faults)
            case .isGone: space.isGone = true
            }
        }
    }

    /// After the kernel has put off a page, because its process moves or drops memory or forks.
    private mutating func settle(_ space: LateSpace) throws(RestoreError) {
        try takeEvents(of: space)
        Waiting.pause(atMost: Self.shortPause)
    }

    private func trying(_ space: LateSpace, _ body: () throws(SystemError) -> PageFaults.Outcome) throws(RestoreError) -> PageFaults.Outcome {
        for attempt in 1... {
            do throws(SystemError) { return try body() } catch {
                if error.number != Errno.ENOMEM || attempt == Self.memoryTries { throw failure(space, error) }
            }
            Waiting.pause(atMost: Self.memoryPause)
        }
        return .isGone
    }

    private func failure(_ space: LateSpace, _ error: SystemError) -> RestoreError {
        RestoreError(cannot: "bring the \(space.owner) to \(space.title)", error)
    }
}
