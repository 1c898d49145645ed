/// The memory that all tasks of a restart share: the step loop, words they wait on, one status slot
/// per task, data and programs.
///
///     base            the step loop, as it was assembled
///     base + 4096     words: 16 of 64 bytes each (one cache line a word)
///     base + 8192     status slots, 64 bytes each: u64 step, u64 state, s64 result
///     then            data (paths, iovecs, structures), 16-byte aligned pieces
///     then            programs, 80 bytes a step
///
/// Addresses of data are known as soon as a piece is added, those of programs when all are there.
package struct Launchpad: Sendable {
    package static let wordsOffset: UInt64 = 4096
    package static let slotsOffset: UInt64 = 8192
    package static let slotSize: UInt64 = 64
    package static let pageSize: UInt64 = 4096

    package enum Word: UInt64, Sendable {
        /// Tasks (threads included) that have arrived at their park.
        case parked
        /// Processes that have loaded everything and are still single-threaded.
        case loaded
        /// Set by the monitor: threads may be made and timers armed.
        case go
        /// Set by the monitor at the point of no return.
        case committed
        /// What the inner half tells: pid of the root as the inner half sees it.
        case rootPid
        /// errno of the inner half's failure.
        case innerError
        /// Threads other than leaders that have nothing left to do but park.
        case threads
        /// Semaphore sets that the monitor has made: the guardian removes them if it dies.
        case semaphoreSets
        /// Set by the monitor: every task is there, and the guardian is to take its handles.
        case setGuard
        /// Set by the guardian: it has handles of all processes, or has failed (`innerError`).
        case guarding
        /// Likewise message queues.
        case messageQueues
    }

    package let base: UInt64
    package let slots: Int
    /// Everything after the slots, in order of address.
    package private(set) var data: [UInt8] = []
    package private(set) var programs: [Program] = []

    package init(base: UInt64, slots: Int) {
        self.base = base
        self.slots = slots
    }

    package var dataStart: UInt64 {
        let end = base + Self.slotsOffset + UInt64(slots) * Self.slotSize
        return (end + Self.pageSize - 1) & ~(Self.pageSize - 1)
    }

    package func address(of word: Word) -> UInt64 { base + Self.wordsOffset + word.rawValue * 64 }
    package func slotAddress(_ slot: Int) -> UInt64 { base + Self.slotsOffset + UInt64(slot) * Self.slotSize }

    /// Puts bytes into the data segment and tells where they will lie.
    package mutating func add(_ bytes: [UInt8]) -> UInt64 {
        let address = dataStart + UInt64(data.count)
        data += bytes
        let rest = data.count & 15
        if rest != 0 { data.append(contentsOf: repeatElement(0, count: 16 - rest)) }
        return address
    }

    /// Puts a NUL-terminated string into the data segment.
    package mutating func add(string bytes: [UInt8]) -> UInt64 { add(bytes + [0]) }

    /// Puts little-endian 64-bit words into the data segment.
    package mutating func add(words: [UInt64]) -> UInt64 {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(words.count * 8)
        for word in words { bytes.append(littleEndian: word) }
        return add(bytes)
    }

    /// Replaces eight bytes of the data segment.
    package mutating func patch(at address: UInt64, with word: UInt64) {
        let start = Int(address - dataStart)
        var bytes: [UInt8] = []
        bytes.append(littleEndian: word)
        data.replaceSubrange(start..<start + 8, with: bytes)
    }

    /// Adds the program of the task with the next index.
    @discardableResult
    package mutating func add(_ program: Program) -> Int {
        programs.append(program)
        return programs.count - 1
    }

    private var programsStart: UInt64 { (dataStart + UInt64(data.count) + 63) & ~63 }

    /// Where the programs lie, by index. Kept by callers that ask often.
    package struct Layout: Sendable {
        package fileprivate(set) var addresses: [UInt64] = []
        fileprivate var end: UInt64

        /// Which step of which program lies at an address, as a status slot holds it.
        package func locate(stepAt address: UInt64) -> (program: Int, step: Int)? {
            guard address < end, let start = addresses.first, address >= start else { return nil }
            // The last program that does not begin after it: programs may be empty.
            var low = 0
            var high = addresses.count
            while high - low > 1 {
                let middle = (low + high) / 2
                if addresses[middle] <= address { low = middle } else { high = middle }
            }
            return (low, Int(address - addresses[low]) / EncodedStep.size)
        }
    }

    package var layout: Layout {
        var layout = Layout(end: programsStart)
        layout.addresses.reserveCapacity(programs.count)
        for program in programs {
            layout.addresses.append(layout.end)
            layout.end += UInt64(program.steps.count * EncodedStep.size)
        }
        return layout
    }

    /// Bytes of the whole launchpad, a multiple of the page size.
    package var size: UInt64 {
        (layout.end - base + Self.pageSize - 1) & ~(Self.pageSize - 1)
    }

    /// What has to be written at `dataStart`.
    package func encoded(numbering: SystemCall.Numbering = .host) -> [UInt8] {
        let layout = layout
        let addresses = layout.addresses
        var bytes = data
        bytes.reserveCapacity(Int(layout.end - dataStart))
        bytes.append(contentsOf: repeatElement(0, count: Int(programsStart - dataStart) - data.count))
        for (index, program) in programs.enumerated() {
            let environment = EncodedStep.Environment(
                start: addresses[index], numbering: numbering, program: { addresses[$0] }, slot: { slotAddress($0) })
            for step in program.steps { EncodedStep.append(step, in: environment, to: &bytes) }
        }
        return bytes
    }
}
