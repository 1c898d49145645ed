import CheckpointImage
import LinuxABI
import StepProgram

/// The steps that load pages into memory that is mapped and writable.
extension PlanBuilder {
    /// Loads pages into the memory of the process, or waits until the monitor has loaded them.
    mutating func fill(_ program: inout Program, _ loads: [Int]) {
        switch pages.delivery {
        case .inPlace:
            for load in loads { readInPlace(&program, pages.loads[load]) }
        case .staged:
            let isLate = loads.contains { !pages.loads[$0].late.isEmpty }
            if isLate { offerFaults(&program, loads) }
            for load in loads { program.advance(gate(of: load).mapped, "\(pages.loads[load].owner) can be loaded") }
            for load in loads {
                program.wait(for: gate(of: load).filled, toReach: 1, "until the \(pages.loads[load].owner) are loaded")
            }
            if isLate { program.call(.close, [.number(scratchDescriptor)], "crrestart has it") }
        }
    }

    /// Makes a descriptor by which page faults of the process can be answered, for the monitor to take.
    ///
    /// - Precondition: the low descriptors are free.
    private mutating func offerFaults(_ program: inout Program, _ loads: [Int]) {
        let late = loads.reduce(0) { $0 + LateMemory.byteCount(pages.loads[$1], image) }
        let made = program.call(
            .userfaultfd, [.number(OpenFlag.O_CLOEXEC | OpenFlag.O_NONBLOCK)], "\(byteCount(late)) come while it runs")
        program.call(.dup3, [.result(of: made), .number(scratchDescriptor), .number(OpenFlag.O_CLOEXEC)])
        program.call(.close, [.result(of: made)])
        for load in loads where !pages.loads[load].late.isEmpty {
            _ = gate(of: load)
            gates[load]?.faults = scratchDescriptor
        }
    }

    /// Reads pages straight from the image.
    private mutating func readInPlace(_ program: inout Program, _ load: PageSchedule.Load) {
        guard let section = image.pageSection(of: load.owner) else { return }
        for transfer in load.transfers {
            let vectors = launchpad.add(words: transfer.pieces.flatMap { [$0.start, $0.byteCount] })
            program.call(
                .preadv,
                [
                    .number(high.image), .value(vectors), .number(transfer.pieces.count),
                    .value(section.offset + transfer.offset), 0,
                ],
                check: .equals(Int64(transfer.byteCount)), "\(byteCount(transfer.byteCount)) from the image")
        }
    }

    private mutating func gate(of load: Int) -> PageGate {
        if let known = gates[load] { return known }
        // 32-bit words in a cache line of their own, because other tasks change the words beside it meanwhile.
        let place = room(64)
        let gate = PageGate(mapped: place, filled: place + 8)
        gates[load] = gate
        return gate
    }
}
