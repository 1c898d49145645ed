/// What a host offers to programs: the kinds of CPU state that a thread can have, and the instruction sets.
package struct CPUOffer: Equatable, Sendable {
    package var features: CPUFeatureSet
    package var instructions: X86InstructionSets

    package init(features: CPUFeatureSet, instructions: X86InstructionSets = []) {
        self.features = features
        self.instructions = instructions
    }

    /// From `cpuid` as user space sees it.
    ///
    /// - Parameter leaves: the answers to `leavesNeeded`.
    /// - Parameter enabled: XCR0, see `XSaveLayout.init(leaves:enabled:)`.
    /// - Parameter shadowStack: whether the kernel gives programs shadow stacks; `cpuid` cannot tell.
    package init(leaves: [CPUIDLeaf], enabled: UInt64? = nil, shadowStack: Bool = false) throws(ArchStateError) {
        features = try XSaveLayout(leaves: leaves, enabled: enabled).features
        features.formUnion(Self.everywhere)
        if shadowStack { features.insert(.x86ShadowStack) }
        instructions = X86InstructionSets(leaves: leaves)
    }

    /// What every x86_64 host has.
    package static let everywhere = CPUFeatureSet([.x86General, .x86Bases, .x86Debug, .x86Segments, .x87, .sse])

    /// What to ask `cpuid` for: (leaf, subleaf).
    package static var leavesNeeded: [(leaf: UInt32, subleaf: UInt32)] {
        X86InstructionSets.leavesNeeded + XSaveLayout.leavesNeeded
    }
}

/// Compares what threads of one host use with what another host offers.
///
/// A thread that has state in a feature which this host lacks cannot run here: the restart is refused. A missing
/// instruction set is only a warning: the program may have chosen to use it, but no register shows whether it did.
package struct CPUCompatibility: Equatable, Sendable {
    /// A thread as the finding names it, e.g. `4711 redis-server`.
    package struct Thread: Equatable, Sendable {
        package var name: String
        package var features: CPUFeatureSet

        package init(name: String, features: CPUFeatureSet) {
            self.name = name
            self.features = features
        }
    }

    /// One row of the table.
    package struct Line: Equatable, Sendable {
        package var name: String
        /// Whether threads use it; nil for an instruction set, whose use no register shows.
        package var inUse: Bool?
        package var offeredThere: Bool
        package var offeredHere: Bool

        package init(name: String, inUse: Bool?, offeredThere: Bool, offeredHere: Bool) {
            self.name = name
            self.inUse = inUse
            self.offeredThere = offeredThere
            self.offeredHere = offeredHere
        }
    }

    package enum Verdict: Equatable, Sendable {
        case willRun
        /// Names of what the source host offered and this one does not.
        case mayHaveChosen([String])
        /// What is in use and not offered here; with the first threads that use it, where known.
        case cannotRun([Obstacle])
    }

    /// A feature in use that this host lacks.
    package struct Obstacle: Equatable, Sendable {
        package var feature: CPUFeature
        package var threads: [String]

        package init(feature: CPUFeature, threads: [String]) {
            self.feature = feature
            self.threads = threads
        }
    }

    package var lines: [Line]
    package var verdict: Verdict

    package init(inUse: CPUFeatureSet, offeredThere: CPUOffer, offeredHere: CPUOffer, threads: [Thread] = []) {
        let used = threads.reduce(into: inUse) { $0.formUnion($1.features) }
        lines = []
        var missing: [String] = []
        var obstacles: [Obstacle] = []
        for feature in CPUFeature.allCases {
            let line = Line(
                name: feature.name, inUse: used.contains(feature),
                offeredThere: offeredThere.features.contains(feature),
                offeredHere: offeredHere.features.contains(feature))
            if line.inUse == true || line.offeredThere || line.offeredHere { lines.append(line) }
            if line.offeredHere { continue }
            if line.inUse == true {
                let users = threads.filter { $0.features.contains(feature) }.map(\.name)
                obstacles.append(Obstacle(feature: feature, threads: users))
            } else if line.offeredThere {
                missing.append(feature.name)
            }
        }
        let there = offeredThere.instructions
        let here = offeredHere.instructions
        // What both hosts have or both lack gets no row.
        for name in there.symmetricDifference(here).names {
            let isThere = there.names.contains(name)
            lines.append(Line(name: name, inUse: nil, offeredThere: isThere, offeredHere: !isThere))
        }
        missing += there.subtracting(here).names

        if !obstacles.isEmpty {
            verdict = .cannotRun(obstacles)
        } else if !missing.isEmpty {
            verdict = .mayHaveChosen(missing)
        } else {
            verdict = .willRun
        }
    }

    /// Whether to refuse the restart.
    ///
    /// - Parameter strict: instructions that the program may have chosen count as well (`--cpu strict`).
    package func isRefused(strict: Bool) -> Bool {
        switch verdict {
        case .willRun: false
        case .mayHaveChosen: strict
        case .cannotRun: true
        }
    }

    /// The verdict in one sentence for each finding.
    package var sentences: [String] {
        switch verdict {
        case .willRun:
            ["will run"]
        case .mayHaveChosen(let names):
            ["will run, but the program may have chosen instructions this host lacks: \(names.joined(separator: ", "))"]
        case .cannotRun(let obstacles):
            obstacles.map { obstacle in
                switch obstacle.threads.count {
                case 0: "cannot run: \(obstacle.feature.name) is in use"
                case 1: "cannot run: thread \(obstacle.threads[0]) uses \(obstacle.feature.name)"
                default:
                    "cannot run: thread \(obstacle.threads[0]) and \(obstacle.threads.count - 1) more use "
                        + obstacle.feature.name
                }
            }
        }
    }

    /// The table as text: in use / offered there / offered here, then the verdict.
    package var table: String {
        let width = max(lines.map(\.name.count).max() ?? 0, 7)
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        func word(_ value: Bool?) -> String { value.map { $0 ? "yes" : "no" } ?? "?" }
        var rows = ["\(padded("feature", width))  in use  offered there  offered here"]
        for line in lines {
            rows.append(
                "\(padded(line.name, width))  \(padded(word(line.inUse), 6))  "
                    + "\(padded(word(line.offeredThere), 13))  \(word(line.offeredHere))")
        }
        return (rows + sentences).joined(separator: "\n")
    }
}
