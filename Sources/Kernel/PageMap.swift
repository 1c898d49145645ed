internal import CKernel
internal import Glibc

/// Pages that lie side by side.
package struct PageRun: Codable, Equatable, Sendable {
    /// Address of the first page.
    package var start: UInt64
    /// Bytes, a multiple of the page size.
    package var length: UInt64

    package init(start: UInt64, length: UInt64) {
        self.start = start
        self.length = length
    }

    package var end: UInt64 { start + length }
}

/// Which pages of a process hold contents of its own.
///
/// Asks by `ioctl(PAGEMAP_SCAN)`, and where the kernel has none (before 6.7) reads `/proc/PID/pagemap`.
/// The answer is exact only while the process is stopped.
///
/// - Source: Documentation/admin-guide/mm/pagemap.rst.
package struct PageMap: ~Copyable {
    private let file: Descriptor
    private let method: PageMapMethod
    private let zeroFrame: UInt64

    /// - If the process is gone: throws `ENOENT` or `ESRCH`.
    package init(of pid: Int32, method: PageMapMethod = .best) throws(SystemError) {
        file = try Descriptor.open("/proc/\(pid)/pagemap")
        self.method = method
        zeroFrame = method == .entries ? PageMapMethod.zeroFrame : 0
    }

    /// Appends the pages of [start, end) that must be saved, merged, ascending; and the guard pages among them.
    ///
    /// To be saved are the pages in memory or swapped out that are not the kernel's zero page; of a private file
    /// mapping (`fileBacked`) only those that are no longer the file's. Guard pages (`MADV_GUARD_INSTALL`) hold
    /// nothing: touching one is a `SIGSEGV`. There are none where the kernel has none.
    package borrowing func changedRuns(
        start: UInt64, end: UInt64, fileBacked: Bool, into runs: inout [PageRun], guards: inout [PageRun]
    ) throws(SystemError) {
        try FaultPoint.pageMap.pass("ioctl(PAGEMAP_SCAN)")
        switch method {
        case .scan(let knowsGuards):
            var excluded = CKERNEL_PAGE_IS_ZERO_FRAME
            if fileBacked { excluded |= CKERNEL_PAGE_IS_FILE }
            let any = CKERNEL_PAGE_IS_PRESENT | CKERNEL_PAGE_IS_SWAPPED
            let told = knowsGuards ? CKERNEL_PAGE_IS_GUARD : 0
            try scan(start, end, required: 0, excluded: excluded, any: any, told: told, into: &runs, guards: &guards)
        case .entries:
            try readEntries(start, end, into: &runs) { entry in
                PageMapEntry(entry).isToBeSaved(fileBacked: fileBacked, zeroFrame: zeroFrame)
            }
            try readEntries(start, end, into: &guards) { PageMapEntry($0).isGuard }
        }
    }

    /// Appends the guard pages of [start, end), for memory whose contents are saved in another way.
    package borrowing func guardRuns(start: UInt64, end: UInt64, into runs: inout [PageRun])
        throws(SystemError)
    {
        try FaultPoint.pageMap.pass("ioctl(PAGEMAP_SCAN)")
        switch method {
        case .scan(knowsGuards: true):
            var others: [PageRun] = []
            let category = CKERNEL_PAGE_IS_GUARD
            try scan(start, end, required: category, excluded: 0, any: 0, told: category, into: &others, guards: &runs)
        case .scan(knowsGuards: false): break
        case .entries: try readEntries(start, end, into: &runs) { PageMapEntry($0).isGuard }
        }
    }

    /// - Parameter told: the categories by which regions are told apart: those of guard pages go to `guards`.
    private borrowing func scan(
        _ start: UInt64, _ end: UInt64, required: UInt64, excluded: UInt64, any: UInt64, told: UInt64,
        into runs: inout [PageRun], guards: inout [PageRun]
    ) throws(SystemError) {
        // Behind these nothing of an earlier call is merged with what is found here.
        let (firstRun, firstGuard) = (runs.count, guards.count)
        // Not more regions: with a longer vector Linux 6.18 gave some of them twice.
        let room = 512
        var at = start
        while at < end {
            let number = file.number
            let from = at
            var walkEnd: UInt64 = 0
            var result = 0
            unsafe withUnsafeTemporaryAllocation(of: ckernel_page_region.self, capacity: room) { regions in
                // The kernel fills at most `room` regions; only those it counts are read.
                result = unsafe ckernel_pagemap_scan(
                    number, from, end, required, excluded, any, told, regions.baseAddress, UInt64(room),
                    &walkEnd)
                for index in 0..<min(max(0, result), room) {
                    let region = unsafe regions[index]
                    let run = PageRun(start: region.start, length: region.end - region.start)
                    if region.categories & CKERNEL_PAGE_IS_GUARD != 0 {
                        guards.append(run, mergingFrom: firstGuard)
                    } else {
                        runs.append(run, mergingFrom: firstRun)
                    }
                }
            }
            if result == -Int(EINTR) { continue }
            _ = try SystemError.check(result, "ioctl(PAGEMAP_SCAN)")
            guard walkEnd > at else { break }
            at = walkEnd
        }
    }

    private borrowing func readEntries(
        _ start: UInt64, _ end: UInt64, into runs: inout [PageRun], where wanted: (UInt64) -> Bool
    ) throws(SystemError) {
        let first = runs.count
        let size = pageSize
        var page = start / size
        let lastPage = (end + size - 1) / size
        while page < lastPage {
            let count = min(lastPage - page, 32768)
            let bytes = try file.read(upTo: Int(count) * 8, at: page * 8)
            // The file ends where user addresses end.
            if bytes.count < 8 { break }
            for index in 0..<(bytes.count / 8) {
                guard wanted(littleEndian8(bytes, at: index * 8)) else { continue }
                runs.append(PageRun(start: (page + UInt64(index)) * size, length: size), mergingFrom: first)
            }
            page += UInt64(bytes.count / 8)
        }
    }
}

/// How to ask for page states.
package enum PageMapMethod: Equatable, Sendable {
    /// `PAGEMAP_SCAN`, since 6.7; it knows guard pages since 6.15.
    case scan(knowsGuards: Bool)
    /// The 8-byte entries of `/proc/PID/pagemap`.
    case entries

    /// What this kernel offers; asked once.
    package static let best: PageMapMethod = probe()

    private static func probe() -> PageMapMethod {
        guard let file = try? Descriptor.open("/proc/self/pagemap") else { return .entries }
        for excluded in [CKERNEL_PAGE_IS_GUARD, 0] {
            var end: UInt64 = 0
            // No regions are asked for: nothing is written but `end`.
            let result = unsafe ckernel_pagemap_scan(
                file.number, 0, pageSize, 0, excluded, CKERNEL_PAGE_IS_PRESENT, 0, nil, 0, &end)
            if result >= 0 { return .scan(knowsGuards: excluded != 0) }
        }
        return .entries
    }

    /// Frame number of the zero page, 0 where the kernel does not tell it (without `CAP_SYS_ADMIN`).
    ///
    /// Without it, pages that were only ever read count as contents; they are zeros, which is right too.
    static let zeroFrame: UInt64 = probeZeroFrame()

    @inline(never)
    private static func probeZeroFrame() -> UInt64 {
        let size = Int(pageSize)
        guard let file = try? Descriptor.open("/proc/self/pagemap"),
            let page = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            unsafe page != MAP_FAILED
        else { return 0 }
        defer { unsafe munmap(page, size) }
        // Readable: mapped above. Reading makes the kernel put the zero page there.
        guard unsafe page.load(as: UInt8.self) == 0 else { return 0 }
        let offset = UInt64(UInt(bitPattern: page)) / pageSize * 8
        guard let bytes = try? file.read(upTo: 8, at: offset), bytes.count == 8 else { return 0 }
        let entry = PageMapEntry(littleEndian8(bytes, at: 0))
        return entry.isPresent ? entry.frame : 0
    }
}

/// One entry of `/proc/PID/pagemap`.
struct PageMapEntry {
    let bits: UInt64
    init(_ bits: UInt64) { self.bits = bits }

    var isPresent: Bool { bits >> 63 & 1 != 0 }
    var isSwapped: Bool { bits >> 62 & 1 != 0 }
    /// A page of a file, or of shared anonymous memory.
    var isFile: Bool { bits >> 61 & 1 != 0 }
    var isGuard: Bool { bits >> 58 & 1 != 0 }
    /// Of a page in memory; 0 where the reader may not know.
    var frame: UInt64 { bits & (1 << 55 - 1) }

    func isToBeSaved(fileBacked: Bool, zeroFrame: UInt64) -> Bool {
        if isGuard || fileBacked && isFile { return false }
        if isPresent { return zeroFrame == 0 || frame != zeroFrame }
        return isSwapped
    }
}

extension [PageRun] {
    /// Appends `run`, or lengthens the last one if it lies right behind it; runs before `first` stay.
    mutating func append(_ run: PageRun, mergingFrom first: Int) {
        if count > first, self[count - 1].end == run.start {
            self[count - 1].length += run.length
        } else {
            append(run)
        }
    }
}

func littleEndian8(_ bytes: [UInt8], at index: Int) -> UInt64 {
    var value: UInt64 = 0
    for byte in 0..<8 { value |= UInt64(bytes[index + byte]) << UInt64(byte * 8) }
    return value
}
