import CheckpointImage

extension RestorePlan {
    /// The high descriptors that tasks have while the tree is built, at numbers that no program of the tree uses.
    ///
    /// As a rule they are consecutive and above all that programs use. Where the limit of descriptors does not allow that, free
    /// numbers between those of the programs are taken, the highest first. So the lowest free numbers are never among them:
    /// at those the kernel opens what steps have open for a moment.
    package struct HighDescriptors: Sendable, Equatable {
        /// How many there are of each role, as far as that depends on the image.
        struct Need: Sendable, Equatable {
            /// Mount namespaces: that of crrestart, and the new ones.
            var mounts = 0
            /// Descriptors of crrestart that the root of the tree inherits.
            var handed = 0
            /// Those that take the place of open files.
            var given = 0
            /// Both ends of each terminal.
            var terminals = 0
            /// Inotify instances in which events wait.
            var inotifies = 0
            var objects = 0
            var files = 0
            /// Processes that share a descriptor table with another one.
            var sharers = 0

            var count: Int { firstDropped + 6 + handed + given + terminals + inotifies + objects + files + sharers }
            fileprivate var firstDropped: Int { 2 + mounts }
            fileprivate var firstHanded: Int { firstDropped + 6 }
            fileprivate var firstGiven: Int { firstHanded + handed }
            fileprivate var firstTerminal: Int { firstGiven + given }
            fileprivate var firstInotify: Int { firstTerminal + terminals }
            fileprivate var firstObject: Int { firstInotify + inotifies }
            fileprivate var firstFile: Int { firstObject + objects }
        }

        /// As many of the lowest numbers as stay free, for what is open for a moment.
        static let reserved = 64

        private let need: Need
        /// By role, ascending: the time namespace, `ns_last_pid`, mount namespaces; 0 to 2 of crrestart, the image, a number for
        /// files that are open for a few steps, the terminal of crrestart, what the root inherits, what is given, terminals, inotify instances, memory objects, open files; then one number more for
        /// such files for each process that shares a table.
        private let numbers: [UInt32]
        private let areAbovePrograms: Bool

        /// Nil: there are not as many free numbers.
        ///
        /// - Parameters:
        ///   - highest: the highest number that a program of the tree has, or that a step needs for a moment.
        ///   - used: all of these. Asked for only if the numbers above the highest do not suffice.
        ///   - own: the numbers that crrestart has open itself.
        ///   - limit: the first number that the kernel refuses.
        init?(_ need: Need, above highest: UInt32, used: () -> Set<UInt32>, own: Set<UInt32>, limit: UInt64) {
            self.need = need
            let count = UInt64(need.count)
            let lowest = UInt64(own.count + Self.reserved)
            let base = max(UInt64(highest) + 1, UInt64(own.max() ?? 0) + 1, lowest)
            areAbovePrograms = base + count <= limit
            if areAbovePrograms {
                numbers = (base..<base + count).map { UInt32(truncatingIfNeeded: $0) }
                return
            }
            let taken = used().union(own)
            var found: [UInt32] = []
            var next = min(limit, UInt64(UInt32.max))
            while next > lowest && found.count < need.count {
                next -= 1
                let number = UInt32(truncatingIfNeeded: next)
                if !taken.contains(number) { found.append(number) }
            }
            if found.count < need.count { return nil }
            numbers = found.reversed()
        }

        var highest: UInt32 { numbers[numbers.count - 1] }
        /// The lowest of them.
        package var base: UInt32 { numbers[0] }
        /// Stays open longer than the others, because a process joins the time namespace late.
        package var timeNamespace: UInt32 { numbers[0] }
        /// `ns_last_pid`, where tasks get their numbers by it. Stays open until all threads exist.
        package var lastPid: UInt32 { numbers[1] }
        /// A mount namespace. Stays open until the process has opened its files, which needs the `/proc` of crrestart.
        package func mount(_ number: UInt32) -> UInt32 { numbers[2 + Int(number)] }
        /// The lowest of those that go when the descriptors of a process are installed.
        var firstDropped: UInt32 { numbers[need.firstDropped] }
        /// 0, 1, 2 of the tool; 3: its terminal, where none of these is it.
        package func standard(_ number: UInt32) -> UInt32 { numbers[need.firstDropped + (number <= 2 ? Int(number) : 5)] }
        package var image: UInt32 { numbers[need.firstDropped + 3] }
        var scratch: UInt32 { numbers[need.firstDropped + 4] }
        /// A descriptor of crrestart that the root inherits, by its place among the user's options.
        package func handed(_ index: Int) -> UInt32 { numbers[need.firstHanded + index] }
        /// What takes the place of open files of the tree, by its place among the user's choices.
        package func given(_ index: Int) -> UInt32 { numbers[need.firstGiven + index] }
        /// Master and slave of a terminal, by its place in the image.
        package func terminal(_ index: Int) -> UInt32 { numbers[need.firstTerminal + 2 * index] }
        package func terminalSlave(_ index: Int) -> UInt32 { numbers[need.firstTerminal + 2 * index + 1] }
        /// An inotify in which events wait, by its place among these.
        package func inotify(_ index: Int) -> UInt32 { numbers[need.firstInotify + index] }
        package func object(_ index: Int) -> UInt32 { numbers[need.firstObject + index] }
        func file(_ index: Int) -> UInt32 { numbers[need.firstFile + index] }
        /// For files that are open for a few steps, in a process that shares a table, by its place there; the first has `scratch`.
        func scratch(ofSharer place: Int) -> UInt32 {
            place == 0 ? scratch : numbers[need.firstFile + need.files + place - 1]
        }

        /// All of them, and in the usual case what is above.
        package var all: [ClosedRange<UInt32>] { ranges(numbers[...]) }
        /// Those that go when the descriptors of a process are installed, likewise.
        var dropped: [ClosedRange<UInt32>] { ranges(numbers[need.firstDropped...]) }
        var mounts: [ClosedRange<UInt32>] { Self.runs(numbers[2..<need.firstDropped]) }
        /// All numbers below the highest of them that are none of them.
        var others: [ClosedRange<UInt32>] { Self.gaps(numbers) }
        /// All numbers above them.
        var above: ClosedRange<UInt32>? { numbers.last.flatMap { $0 < .max ? $0 + 1 ... .max : nil } }

        private func ranges(_ part: ArraySlice<UInt32>) -> [ClosedRange<UInt32>] {
            var runs = Self.runs(part)
            if areAbovePrograms, let last = runs.popLast() { runs.append(last.lowerBound ... .max) }
            return runs
        }

        private static func runs(_ numbers: ArraySlice<UInt32>) -> [ClosedRange<UInt32>] {
            var runs: [ClosedRange<UInt32>] = []
            for number in numbers {
                if let last = runs.last, last.upperBound + 1 == number {
                    runs[runs.count - 1] = last.lowerBound...number
                } else {
                    runs.append(number...number)
                }
            }
            return runs
        }

        /// Between ascending numbers, from 0 on.
        private static func gaps(_ numbers: [UInt32]) -> [ClosedRange<UInt32>] {
            var gaps: [ClosedRange<UInt32>] = []
            var next: UInt32 = 0
            for number in numbers {
                if number > next { gaps.append(next...number - 1) }
                next = number + 1
            }
            return gaps
        }
    }
}

extension RestorePlan.HighDescriptors {
    /// Nil, and a finding, where there are not enough free numbers.
    init?(_ image: CheckpointImage, _ facts: HostFacts, _ options: RestartOptions, _ findings: inout HostFindings) {
        let table = image.process(image.header.root).flatMap(image.fileTable)
        for number in options.handed where table?.descriptors.contains(where: { $0.number == number }) == true {
            findings.find(
                "descriptor \(number)", "the root of the tree has one of its own at this number, so it cannot inherit ours (--fd)",
                help: "choose another number: crrestart --fd M M<&\(number)")
        }
        let need = Need(
            mounts: Int(image.mountDescriptors), handed: options.handed.count, given: options.given.count,
            terminals: 2 * image.terminals.count, inotifies: image.inotifiesWithEvents.count, objects: image.memoryObjects.count,
            files: image.openFiles.count, sharers: image.tableSharers)
        let highest = options.handed.reduce(image.highestDescriptor, max)
        let limit = facts.descriptorLimit
        // One for each process, by which crrestart ends it if the restart fails.
        let handles = UInt64(image.processes.count + image.memoryObjects.count + facts.ownDescriptors.count + Self.reserved)
        if handles > limit {
            findings.find(
                "descriptors", "\(handles) are needed to watch over the processes, and \(limit) are allowed here",
                help: "raise the hard limit: ulimit -Hn \(handles)")
        }
        if let high = Self(
            need, above: highest, used: { image.usedDescriptors.union(options.handed) }, own: facts.ownDescriptors, limit: limit)
        {
            self = high
            return
        }
        let wanted = UInt64(highest) + 1 + UInt64(need.count + Self.reserved)
        findings.find(
            "descriptors", "\(need.count) are needed besides those of the programs, and \(limit) are allowed here in all",
            help: "raise the hard limit: ulimit -Hn \(wanted)")
        return nil
    }
}

extension CheckpointImage {
    /// Living processes that share a descriptor table with an earlier one.
    fileprivate var tableSharers: Int {
        var seen: Set<UInt32> = []
        return processes.count { $0.state != .zombie && !seen.insert(tableID(of: $0)).inserted }
    }
}
