internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// Memory of one process whose pages come while it runs.
final class LateSpace {
    /// The descriptor by which its page faults are answered. Whichever process has it last decides: when it is closed, pages that have
    /// not come are zeros.
    let faults: Int32
    let owner: PageOwner
    var missing: MissingPages
    /// By its number here, and in words.
    let process: Int32
    let title: String
    /// It was forked meanwhile: what its parent keeps out of forks (MADV_DONTFORK) is not there.
    let isForked: Bool
    /// Addresses that come before all others. The kernel gives up, and does not wait for a page, where it writes to these at a task's end.
    let first: [UInt64]
    /// Addresses of pages that tasks wait for.
    var waiting: [UInt64] = []
    /// What is made into huge pages of a size when all pages are there.
    var huge: [Range<UInt64>]
    let hugeSize: UInt64
    /// Its process has ended, or runs another program.
    var isGone = false

    init(_ faults: Int32, _ owner: PageOwner, _ missing: MissingPages, of process: Int32, _ title: String, first: [UInt64] = [], isForked: Bool = false, huge: (ranges: [Range<UInt64>], size: UInt64) = ([], 0)) {
        self.faults = faults
        self.owner = owner
        self.missing = missing
        self.process = process
        self.title = title
        self.first = first
        self.isForked = isForked
        (self.huge, hugeSize) = huge
    }

    /// The memory of a child that was forked just now: it misses the same pages.
    func forked(_ faults: Int32, _ child: Int32) -> LateSpace {
        // To make huge pages would part what the two share.
        huge = []
        return LateSpace(faults, owner, missing.ofChild, of: child, "a child of \(title)", isForked: true)
    }

    var isDone: Bool { isGone || missing.isEmpty && huge.isEmpty }

    /// Makes the next huge page.
    ///
    /// Page faults of this memory are still told, so the kernel makes none where a page is missing: what the program has dropped
    /// stays away.
    func makeHugePage() {
        guard let range = huge.last else { return }
        let start = range.upperBound - hugeSize
        if start > range.lowerBound { huge[huge.count - 1] = range.lowerBound..<start } else { huge.removeLast() }
        guard let handle = try? Descriptor.open(process: process), PageFaults.isAlive(faults) else { return huge = [] }
        do throws(SystemError) { try HugePages.make(start..<range.upperBound, in: handle) } catch {
            if error.number == Errno.EPERM { huge = [] }
        }
    }
}
