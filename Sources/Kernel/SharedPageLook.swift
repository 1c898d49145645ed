internal import CKernel
internal import Glibc

/// Finds pages that several stopped tasks share copy-on-write at the same addresses.
///
/// Only pages that are in memory, are no file's and are mapped more than once (bit 56 of their entry is clear) can be shared.
/// Two tasks share one if both entries name the same frame. A frame can be given to another page between two readings: so all
/// entries of a window are read twice, and count only if they stayed. Two readings of one entry then lie around one of every
/// other. (A page that KSM merged has equal contents in both tasks, so nothing is lost by saving it once.)
///
/// Where the kernel hides frame numbers (without CAP_SYS_ADMIN), pages that may be shared are compared byte by byte.
///
/// - Preconditions: the tasks are stopped; else the answer is a guess.
/// - Source: Documentation/admin-guide/mm/pagemap.rst.
@safe package struct SharedPageLook: ~Copyable {
    /// A task and the pages of it that are to be saved, ascending, by page number.
    package struct Member {
        package var task: Int32
        package var runs: [Range<UInt64>]

        package init(task: Int32, runs: [Range<UInt64>]) {
            self.task = task
            self.runs = runs
        }
    }

    /// Pages side by side that are shared in the same way: each class lists the members that share its pages.
    package struct Finding: Equatable, Sendable {
        package var pages: Range<UInt64>
        package var classes: [[Int]]
    }

    /// Part of a run of a member.
    private struct Part {
        var pages: Range<UInt64>
        var member: Int
    }

    /// Entries of all members together that are held at a time.
    private static let mostEntries = 1 << 20
    /// Different pages at one address that are told apart; what is more is saved for each task.
    private static let mostClasses = 8

    private let members: [Member]
    private let windowPages: Int
    private let comparesContents: Bool
    private let first: UnsafeMutableBufferPointer<UInt64>
    private let second: UnsafeMutableBufferPointer<UInt64>
    private var findings: [Finding] = []

    /// - Parameter comparesContents: nil: only where frames are hidden.
    package static func findings(among members: [Member], comparesContents: Bool? = nil) throws(SystemError) -> [Finding] {
        if members.count < 2 { return [] }
        var look = SharedPageLook(members, comparesContents: comparesContents ?? (PageMapMethod.zeroFrame == 0))
        try look.walk()
        return look.findings
    }

    private init(_ members: [Member], comparesContents: Bool) {
        self.members = members
        self.comparesContents = comparesContents
        windowPages = max(512, min(32768, Self.mostEntries / members.count))
        unsafe first = UnsafeMutableBufferPointer.allocate(capacity: members.count * windowPages)
        unsafe second = UnsafeMutableBufferPointer.allocate(capacity: members.count * windowPages)
    }

    deinit {
        unsafe first.deallocate()
        unsafe second.deallocate()
    }

    /// Goes through all runs by ascending addresses, window by window.
    private mutating func walk() throws(SystemError) {
        var waiting: [Part] = []
        for (member, one) in members.enumerated() { waiting += one.runs.map { Part(pages: $0, member: member) } }
        waiting.sort { ($0.pages.lowerBound, $0.member) < ($1.pages.lowerBound, $1.member) }
        var next = 0
        var carried: [Part] = []
        while next < waiting.count || !carried.isEmpty {
            let begin = carried.first?.pages.lowerBound ?? waiting[next].pages.lowerBound
            let end = begin + UInt64(windowPages)
            var parts = carried
            while next < waiting.count, waiting[next].pages.lowerBound < end {
                parts.append(waiting[next])
                next += 1
            }
            carried = parts.filter { $0.pages.upperBound > end }.map { Part(pages: end..<$0.pages.upperBound, member: $0.member) }
            if !Self.overlap(parts) { continue }
            try look(at: parts.map { Part(pages: $0.pages.clamped(to: begin..<end), member: $0.member) }, from: begin)
        }
    }

    /// - Parameter parts: by ascending starts.
    private static func overlap(_ parts: [Part]) -> Bool {
        var end: UInt64 = 0
        for part in parts {
            if part.pages.lowerBound < end { return true }
            end = max(end, part.pages.upperBound)
        }
        return false
    }

    private mutating func look(at parts: [Part], from begin: UInt64) throws(SystemError) {
        // The members that are in this window, and the row of each.
        let present = Set(parts.map(\.member)).sorted()
        let row = Dictionary(zip(present, 0...), uniquingKeysWith: { first, _ in first })
        unsafe first.update(repeating: 0)
        for part in parts { try read(part, row[part.member] ?? 0, from: begin, into: first) }
        if comparesContents {
            markCandidates(present.count, confirmed: false)
            try compareContents(present, from: begin)
        } else {
            unsafe second.update(repeating: 0)
            for part in parts { try read(part, row[part.member] ?? 0, from: begin, into: second) }
            markCandidates(present.count, confirmed: true)
        }
        group(present, from: begin)
    }

    @inline(never)
    private func read(
        _ part: Part, _ row: Int, from begin: UInt64, into entries: UnsafeMutableBufferPointer<UInt64>
    ) throws(SystemError) {
        let file = try Descriptor.open("/proc/\(members[part.member].task)/pagemap")
        let place = row * windowPages + Int(part.pages.lowerBound - begin)
        // In bounds: a part lies within its window, and each row has room for one.
        let result = unsafe ckernel_syscall(
            Int(SYS_pread64), Int(file.number), Int(bitPattern: entries.baseAddress) + place * 8, part.pages.count * 8,
            Int(bitPattern: UInt(part.pages.lowerBound * 8)), 0, 0)
        _ = try SystemError.check(result, "read pagemap")
    }

    /// Leaves what tells a page that may be shared from others (its frame), and 0 for all other entries.
    private func markCandidates(_ rows: Int, confirmed: Bool) {
        for index in 0..<rows * windowPages {
            let entry = unsafe first[index]
            if entry == 0 { continue }
            let isStable = unsafe !confirmed || second[index] == entry
            let isCandidate = entry & Self.telling == Self.present && isStable
            unsafe first[index] = isCandidate ? (confirmed ? entry & Self.frame : 1) : 0
        }
    }

    private static let present: UInt64 = 1 << 63
    private static let frame: UInt64 = 1 << 55 - 1
    /// Present; not swapped, not a file's, no guard, not exclusive.
    private static let telling: UInt64 = 1 << 63 | 1 << 62 | 1 << 61 | 1 << 58 | 1 << 56

    /// Gathers neighbouring pages whose rows agree in the same way.
    private mutating func group(_ present: [Int], from begin: UInt64) {
        var last = [Int](repeating: 0, count: present.count)
        var since = 0
        var classes = last
        var frames = [UInt64](repeating: 0, count: Self.mostClasses)
        var sizes = [Int](repeating: 0, count: Self.mostClasses)
        for page in 0...windowPages {
            var known = 0
            for row in present.indices {
                // In bounds: each row has `windowPages` entries.
                let value = page < windowPages ? unsafe first[row * windowPages + page] : 0
                var place = 0
                if value != 0 {
                    while place < known && frames[place] != value { place += 1 }
                    if place == known && known < Self.mostClasses {
                        frames[known] = value
                        sizes[known] = 0
                        known += 1
                    }
                    if place < known { sizes[place] += 1 }
                    place = place < known ? place + 1 : 0
                }
                classes[row] = place
            }
            for row in present.indices where classes[row] > 0 && sizes[classes[row] - 1] < 2 { classes[row] = 0 }
            if classes == last { continue }
            add(last, present, begin + UInt64(since)..<begin + UInt64(page))
            last = classes
            since = page
        }
        // A class may reach to the end of the window.
        if since < windowPages { add(last, present, begin + UInt64(since)..<begin + UInt64(windowPages)) }
    }

    private mutating func add(_ classes: [Int], _ present: [Int], _ pages: Range<UInt64>) {
        var lists: [[Int]] = []
        for number in 1...Self.mostClasses {
            let list = present.indices.filter { classes[$0] == number }.map { present[$0] }
            if list.count > 1 { lists.append(list) }
        }
        if !lists.isEmpty && !pages.isEmpty { findings.append(Finding(pages: pages, classes: lists)) }
    }
}

extension SharedPageLook {
    private static let blockPages = 512

    /// Replaces the marks of candidates by numbers that are equal for equal contents of one page.
    @inline(never)
    private func compareContents(_ present: [Int], from begin: UInt64) throws(SystemError) {
        let size = Int(pageSize)
        let models = UnsafeMutableRawPointer.allocate(byteCount: Self.mostClasses * Self.blockPages * size, alignment: 4096)
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: Self.blockPages * size, alignment: 4096)
        defer {
            unsafe models.deallocate()
            unsafe buffer.deallocate()
        }
        for block in stride(from: 0, to: windowPages, by: Self.blockPages) {
            var known = [Int](repeating: 0, count: Self.blockPages)
            let pages = min(Self.blockPages, windowPages - block)
            for row in present.indices {
                let place = row * windowPages + block
                // In bounds: a row has `windowPages` entries, and a block ends where they end.
                guard let from = unsafe (0..<pages).first(where: { unsafe first[place + $0] != 0 }),
                    let last = unsafe (0..<pages).last(where: { unsafe first[place + $0] != 0 })
                else { continue }
                let memory = try Descriptor.open("/proc/\(members[present[row]].task)/mem", O_RDONLY)
                var start = from
                while start <= last {
                    if unsafe first[place + start] == 0 {
                        start += 1
                        continue
                    }
                    var end = start
                    while unsafe end <= last && first[place + end] != 0 { end += 1 }
                    let address = (begin + UInt64(block + start)) * pageSize
                    let got = unsafe ckernel_syscall(
                        Int(SYS_pread64), Int(memory.number), Int(bitPattern: buffer) + start * size, (end - start) * size,
                        Int(bitPattern: UInt(address)), 0, 0)
                    let whole = max(0, got) / size
                    for page in start..<end {
                        guard page - start < whole else {
                            unsafe first[place + page] = 0
                            continue
                        }
                        var model = 0
                        while unsafe model < known[page]
                            && memcmp(models + (model * Self.blockPages + page) * size, buffer + page * size, size) != 0
                        { model += 1 }
                        if model == known[page] && model < Self.mostClasses {
                            unsafe memcpy(models + (model * Self.blockPages + page) * size, buffer + page * size, size)
                            known[page] += 1
                        }
                        unsafe first[place + page] = model < Self.mostClasses ? UInt64(model + 1) : 0
                    }
                    start = end
                }
            }
        }
    }
}
