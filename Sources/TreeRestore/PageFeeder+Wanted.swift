internal import ArchState
internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import RestorePlan

/// Loads what has to be there before the tree runs, and hands the rest over to a ``PageServer``.
extension PageFeeder {
    /// In the order of the plan, in which no load waits for a later one: pages are read wherever they are.
    mutating func feedWanted(_ pages: CheckedPages, to tree: inout ForkedTree) throws(RestoreError) {
        for section in image.pageSections where section.owner.kind != .memoryObject && tree.plan.pages.loads(of: section.owner).isEmpty {
            throw Self.strangers(section.owner)
        }
        let total = tree.plan.pages.loads.reduce(0) { $0 + $1.byteCount }
        var done: UInt64 = 0
        var late: [LateSpace] = []
        var lateLoads: [Int] = []
        for (index, load) in tree.plan.pages.loads.enumerated() {
            try awaitMemory(of: index, load.owner, &tree)
            try feed(index, load, pages, &tree)
            if load.late.isEmpty {
                publish(index, tree)
            } else {
                late.append(try lateSpace(of: index, load, &tree))
                lateLoads.append(index)
            }
            done += load.byteCount
            watch.progress("load", done, total)
        }
        if late.isEmpty {
            pagesAreThere()
            return pages.finish()
        }
        // From here on whatever touches a page that is missing, crrestart itself as well, has to find the server there.
        let processes = tree.plan.tasks.indices.filter { tree.plan.tasks[$0].isLeader && !tree.plan.tasks[$0].isZombie }.map { tree.hostPids[$0] }
        do throws(SystemError) { try PageServerGuard.start(late, pages, processes, detaches: detaches, pagesAreThere: pagesAreThere) } catch {
            throw RestoreError(cannot: "serve the pages that come late", error)
        }
        for load in lateLoads { publish(load, tree) }
    }

    private func feed(_ index: Int, _ load: PageSchedule.Load, _ pages: CheckedPages, _ tree: inout ForkedTree) throws(RestoreError) {
        var walk = LoadWalk(load.transfers)
        let size = UInt64(ImageFormat.checksumBlock)
        var next: UInt64 = 0
        for transfer in load.transfers {
            let end = (transfer.offset + transfer.byteCount - 1) / size + 1
            next = max(next, transfer.offset / size)
            while next < end {
                let bytes: [UInt8]
                do throws(ImageError) { bytes = try pages.block(next, of: load.owner) } catch { throw RestoreError(error, image: pages.name) }
                walk.skip(to: next * size)
                for (range, places) in walk.places(for: bytes.count) { try put(Array(bytes[range]), places, index, &tree) }
                next += 1
                try tree.drain()
                try watch.check()
            }
        }
    }

    /// Takes over the page faults of the memory of a load.
    private func lateSpace(of index: Int, _ load: PageSchedule.Load, _ tree: inout ForkedTree) throws(RestoreError) -> LateSpace {
        guard let program = tree.plan.program(of: load.loader), let number = tree.plan.pageGates[index]?.faults,
            let space = image.addressSpace(load.owner.id)
        else { throw Self.strangers(load.owner) }
        do throws(SystemError) {
            let process = try Descriptor.open(process: tree.hostPids[program])
            let faults = try process.duplicate(remote: Int32(bitPattern: number))
            try UserFaultFile.begin(.missingPages, faults.number)
            for range in load.late { try UserFaultFile.register(range, for: .missingPages, faults.number) }
            return LateSpace(
                faults.release(), load.owner, MissingPages(of: space, in: load.late), of: tree.hostPids[program],
                tree.plan.title(of: program), first: firstAddresses(load.owner.id, tree.plan.valid), huge: tree.plan.hugePages(afterLateLoad: load))
        } catch {
            try tree.drain()
            throw RestoreError(cannot: "answer the page faults of \(tree.plan.title(of: program))", error, help: "restart without --lazy")
        }
    }

    /// What threads touch first, and what the kernel writes to at their end.
    private func firstAddresses(_ space: UInt32, _ valid: ValidImage) -> [UInt64] {
        valid.image.threads.enumerated().filter { $0.element.addressSpace == space }.flatMap { index, thread in
            [valid.states[index].general.rsp, thread.rseq.address, thread.robustList, thread.clearChildTid_p]
        }.map { $0 & ~(UInt64(ImageFormat.pageSize) - 1) }
    }
}
