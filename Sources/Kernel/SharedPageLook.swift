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

    /// Part of a run of a member, and where its entries are held.
    private struct Part {
        var pages: Range<UInt64>
        var member: Int
        var place = 0
    }

    /// Entries of all members together that are held at a time.
    private static let mostEntries = 1 << 20
    /// Parts of one member that lie within so many pages are read by one call.
    private static let blockPages = 512
    /// Different pages at one address that are told apart; what is more is saved for each task.
    private static let mostClasses = 8

    private let members: [Member]
    private let comparesContents: Bool
    private let first: UnsafeMutableBufferPointer<UInt64>
    private let second: UnsafeMutableBufferPointer<UInt64>
    private let block: UnsafeMutableBufferPointer<UInt64>
    private var findings: [Finding] = []

    /// - Parameters:
    ///   - comparesContents: nil: only where frames are hidden.
    ///   - window: how many pages of all members together are looked at before the next ones.
    package static func findings(
        among members: [Member], comparesContents: Bool? = nil, window: Int = mostEntries
    ) throws(SystemError) -> [Finding] {
        if members.count < 2 { return [] }
        let all = members.reduce(0) { $0 + $1.runs.reduce(0) { $0 + $1.count } }
        var look = SharedPageLook(
            members, comparesContents: comparesContents ?? (PageMapMethod.zeroFrame == 0), room: max(members.count, min(all, window)))
        try look.walk()
        return look.findings
    }

    /// - Parameter room: entries; one of each member at least.
    private init(_ members: [Member], comparesContents: Bool, room: Int) {
        self.members = members
        self.comparesContents = comparesContents
        unsafe first = UnsafeMutableBufferPointer.allocate(capacity: room)
        unsafe second = UnsafeMutableBufferPointer.allocate(capacity: room)
        unsafe block = UnsafeMutableBufferPointer.allocate(capacity: Self.blockPages)
    }

    deinit {
        unsafe first.deallocate()
        unsafe second.deallocate()
        unsafe block.deallocate()
    }

    /// Goes through all runs by ascending addresses, window by window: each has as many pages as there is room for.
    private mutating func walk() throws(SystemError) {
        var waiting: [Part] = []
        for (member, one) in members.enumerated() { waiting += one.runs.map { Part(pages: $0, member: member) } }
        waiting.sort { ($0.pages.lowerBound, $0.member) < ($1.pages.lowerBound, $1.member) }
        var next = 0
        var carried: [Part] = []
        while next < waiting.count || !carried.isEmpty {
            var parts = carried
            carried = []
            var used = parts.reduce(0) { $0 + $1.pages.count }
            while next < waiting.count, unsafe used < first.count {
                parts.append(waiting[next])
                used += waiting[next].pages.count
                next += 1
            }
            var end = unsafe Self.end(of: parts, within: first.count)
            if next < waiting.count, waiting[next].pages.lowerBound < end {
                while next < waiting.count, waiting[next].pages.lowerBound < end {
                    parts.append(waiting[next])
                    next += 1
                }
                end = unsafe Self.end(of: parts, within: first.count)
            }
            used = 0
            for index in parts.indices {
                let pages = parts[index].pages
                if pages.upperBound > end { carried.append(Part(pages: max(end, pages.lowerBound)..<pages.upperBound, member: parts[index].member)) }
                parts[index].pages = pages.clamped(to: 0..<end)
                parts[index].place = used
                used += parts[index].pages.count
            }
            parts.removeAll { $0.pages.isEmpty }
            try look(at: parts, used)
        }
    }

    /// The page up to which `parts` have at most `room` pages together.
    ///
    /// - Parameters:
    ///   - parts: by ascending starts.
    ///   - room: not less than there are members, so that one page of each fits.
    private static func end(of parts: [Part], within room: Int) -> UInt64 {
        var left = UInt64(room)
        var end = parts[0].pages.lowerBound
        for interval in intervals(of: parts) {
            let (pages, count) = (interval.pages, UInt64(interval.parts.count))
            let fitting = left / count
            if fitting < UInt64(pages.count) { return pages.lowerBound + fitting }
            left -= UInt64(pages.count) * count
            end = pages.upperBound
        }
        return end
    }

    /// Ranges of pages in each of which the same members have parts, ascending; those parts by member.
    ///
    /// - Parameter parts: by ascending starts.
    private static func intervals(of parts: [Part]) -> [(pages: Range<UInt64>, parts: [Part])] {
        let bounds = Set(parts.flatMap { [$0.pages.lowerBound, $0.pages.upperBound] }).sorted()
        var found: [(pages: Range<UInt64>, parts: [Part])] = []
        var active: [Part] = []
        var next = 0
        for (begin, end) in zip(bounds, bounds.dropFirst()) {
            active.removeAll { $0.pages.upperBound <= begin }
            let before = active.count
            while next < parts.count, parts[next].pages.lowerBound == begin {
                active.append(parts[next])
                next += 1
            }
            if before < active.count { active.sort { $0.member < $1.member } }
            if !active.isEmpty { found.append((begin..<end, active)) }
        }
        return found
    }

    private mutating func look(at parts: [Part], _ used: Int) throws(SystemError) {
        let shared = Self.intervals(of: parts).filter { $0.parts.count > 1 }
        if shared.isEmpty { return }
        try read(parts, into: first)
        if comparesContents {
            markCandidates(used, confirmed: false)
            for interval in shared { try compareContents(interval.pages, interval.parts) }
        } else {
            try read(parts, into: second)
            markCandidates(used, confirmed: true)
        }
        for interval in shared { group(interval.pages, interval.parts) }
    }

    private func read(_ parts: [Part], into entries: UnsafeMutableBufferPointer<UInt64>) throws(SystemError) {
        let ordered = parts.sorted { ($0.member, $0.pages.lowerBound) < ($1.member, $1.pages.lowerBound) }
        var from = 0
        while from < ordered.count {
            let to = ordered[from...].firstIndex { $0.member != ordered[from].member } ?? ordered.count
            try unsafe read(ordered[from..<to], of: members[ordered[from].member].task, into: entries)
            from = to
        }
    }

    /// - Parameter parts: of one task, ascending.
    @inline(never)
    private func read(
        _ parts: ArraySlice<Part>, of task: Int32, into entries: UnsafeMutableBufferPointer<UInt64>
    ) throws(SystemError) {
        let file = try Descriptor.open("/proc/\(task)/pagemap")
        var from = parts.startIndex
        while from < parts.endIndex {
            let begin = parts[from].pages.lowerBound
            var to = from + 1
            while to < parts.endIndex, parts[to].pages.upperBound - begin <= UInt64(Self.blockPages) { to += 1 }
            let isBlock = to > from + 1
            let end = isBlock ? parts[to - 1].pages.upperBound : parts[from].pages.upperBound
            // In bounds: a block has at most `blockPages` pages, and each part its room in `entries`.
            let target = unsafe isBlock ? block.baseAddress : entries.baseAddress.map { unsafe $0 + parts[from].place }
            let count = Int(end - begin)
            let result = unsafe ckernel_syscall(
                Int(SYS_pread64), Int(file.number), Int(bitPattern: target), count * 8, Int(bitPattern: UInt(begin * 8)), 0, 0)
            let got = try SystemError.check(result, "read pagemap") / 8
            // The file ends where addresses end: there are no pages.
            if let target = unsafe target { for index in got..<max(got, count) { unsafe target[index] = 0 } }
            if isBlock {
                for part in parts[from..<to] {
                    for page in part.pages { unsafe entries[part.place + Int(page - part.pages.lowerBound)] = block[Int(page - begin)] }
                }
            }
            from = to
        }
    }

    /// Leaves what tells a page that may be shared from others (its frame), and 0 for all other entries.
    private func markCandidates(_ used: Int, confirmed: Bool) {
        for index in 0..<used {
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

    /// Gathers neighbouring pages whose entries agree in the same way.
    ///
    /// - Parameter parts: each has all of `pages`.
    private mutating func group(_ pages: Range<UInt64>, _ parts: [Part]) {
        let places = parts.map { $0.place + Int(pages.lowerBound - $0.pages.lowerBound) }
        var last = [Int](repeating: 0, count: parts.count)
        var since = 0
        var classes = last
        var frames = [UInt64](repeating: 0, count: Self.mostClasses)
        var sizes = [Int](repeating: 0, count: Self.mostClasses)
        for page in 0..<pages.count {
            var known = 0
            for row in parts.indices {
                // In bounds: each part has room for all its pages.
                let value = unsafe first[places[row] + page]
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
            for row in parts.indices where classes[row] > 0 && sizes[classes[row] - 1] < 2 { classes[row] = 0 }
            if classes == last { continue }
            add(last, parts, pages.lowerBound + UInt64(since)..<pages.lowerBound + UInt64(page))
            last = classes
            since = page
        }
        // A class may reach to the end.
        add(last, parts, pages.lowerBound + UInt64(since)..<pages.upperBound)
    }

    private mutating func add(_ classes: [Int], _ parts: [Part], _ pages: Range<UInt64>) {
        var lists: [[Int]] = []
        for number in 1...Self.mostClasses {
            let list = parts.indices.filter { classes[$0] == number }.map { parts[$0].member }
            if list.count > 1 { lists.append(list) }
        }
        if lists.isEmpty || pages.isEmpty { return }
        if let last = findings.last, last.pages.upperBound == pages.lowerBound, last.classes == lists {
            findings[findings.count - 1].pages = last.pages.lowerBound..<pages.upperBound
        } else {
            findings.append(Finding(pages: pages, classes: lists))
        }
    }
}

extension SharedPageLook {
    private static let comparedPages = 512

    /// Replaces the marks of candidates by numbers that are equal for equal contents of one page.
    ///
    /// - Parameter parts: each has all of `pages`.
    private func compareContents(_ pages: Range<UInt64>, _ parts: [Part]) throws(SystemError) {
        let size = Int(pageSize)
        let models = UnsafeMutableRawPointer.allocate(byteCount: Self.mostClasses * Self.comparedPages * size, alignment: 4096)
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: Self.comparedPages * size, alignment: 4096)
        defer {
            unsafe models.deallocate()
            unsafe buffer.deallocate()
        }
        for begin in stride(from: pages.lowerBound, to: pages.upperBound, by: Self.comparedPages) {
            let count = min(Self.comparedPages, Int(pages.upperBound - begin))
            var known = [Int](repeating: 0, count: count)
            for part in parts {
                let place = part.place + Int(begin - part.pages.lowerBound)
                // In bounds: a part has room for all its pages, and `count` of them are left.
                if unsafe (0..<count).allSatisfy({ unsafe first[place + $0] == 0 }) { continue }
                let memory = try Descriptor.open("/proc/\(members[part.member].task)/mem", O_RDONLY)
                var start = 0
                while start < count {
                    if unsafe first[place + start] == 0 {
                        start += 1
                        continue
                    }
                    var end = start
                    while unsafe end < count && first[place + end] != 0 { end += 1 }
                    let address = (begin + UInt64(start)) * pageSize
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
                            && memcmp(models + (model * Self.comparedPages + page) * size, buffer + page * size, size) != 0
                        { model += 1 }
                        if model == known[page] && model < Self.mostClasses {
                            unsafe memcpy(models + (model * Self.comparedPages + page) * size, buffer + page * size, size)
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
