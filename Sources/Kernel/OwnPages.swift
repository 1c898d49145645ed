internal import CKernel
internal import Glibc

/// Which pages of a task no other task has mapped.
///
/// Reads `/proc/PID/pagemap` in windows, each of the pages that one page table holds: runs that are asked for lie mostly
/// side by side.
///
/// - Source: Documentation/admin-guide/mm/pagemap.rst, bit 56.
@safe struct OwnPages: ~Copyable {
    private static let windowPages = 512
    private static let isExclusive: UInt64 = 1 << 56

    private let file: Descriptor
    private let entries: UnsafeMutableBufferPointer<UInt64>
    /// Page number of the first entry.
    private var first: UInt64 = .max
    private var count: UInt64 = 0

    init(of task: Int32) throws(SystemError) {
        file = try Descriptor.open("/proc/\(task)/pagemap")
        unsafe entries = UnsafeMutableBufferPointer.allocate(capacity: Self.windowPages)
    }

    deinit { unsafe entries.deallocate() }

    /// Whether the page at `start` is only this task's, and up to where, `end` at most, the pages behind it are of that kind.
    ///
    /// A page that is swapped out, or was not seen, counts as one that another task has, too.
    @inline(never)
    mutating func stretch(from start: UInt64, to end: UInt64) throws(SystemError) -> (isOwn: Bool, end: UInt64) {
        let page = start / pageSize
        if page < first || page >= first &+ count { try read(windowOf: page) }
        guard page >= first, page < first &+ count else { return (false, min(end, start + pageSize)) }
        // In bounds: `count` entries from `first` on were filled.
        let last = min(first + count, (end + pageSize - 1) / pageSize)
        let isOwn = unsafe entries[Int(page - first)] & Self.isExclusive != 0
        var next = page + 1
        while next < last, unsafe (entries[Int(next - first)] & Self.isExclusive != 0) == isOwn { next += 1 }
        return (isOwn, min(end, next * pageSize))
    }

    private mutating func read(windowOf page: UInt64) throws(SystemError) {
        let window = page / UInt64(Self.windowPages) * UInt64(Self.windowPages)
        count = 0
        // The buffer has room for so many bytes.
        let result = unsafe ckernel_syscall(
            Int(SYS_pread64), Int(file.number), Int(bitPattern: entries.baseAddress), Self.windowPages * 8,
            Int(bitPattern: UInt(window * 8)), 0, 0)
        count = UInt64(try SystemError.check(result, "read pagemap")) / 8
        first = window
    }
}
