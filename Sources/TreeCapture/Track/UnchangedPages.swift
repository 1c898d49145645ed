internal import CheckpointImage
internal import Kernel

/// Pages of a stopped tree that were not written since the parent image, as the kernel says of tracked memory.
struct UnchangedPages {
    /// Of one address space.
    struct Pages {
        /// Ascending, not touching.
        private let runs: [Range<UInt64>]

        init(_ runs: [PageRun]) {
            var merged: [Range<UInt64>] = []
            for run in runs.sorted(by: { $0.start < $1.start }) {
                let pages = run.start / pageSize..<run.end / pageSize
                if let last = merged.last, last.upperBound >= pages.lowerBound {
                    merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, pages.upperBound)
                } else {
                    merged.append(pages)
                }
            }
            self.runs = merged
        }

        /// Whether all of these pages, by number, are among them.
        func contains(_ pages: Range<UInt64>) -> Bool {
            var (low, high) = (0, runs.count)
            while low < high {
                let middle = (low + high) / 2
                if runs[middle].upperBound < pages.upperBound { low = middle + 1 } else { high = middle }
            }
            return low < runs.count && runs[low].lowerBound <= pages.lowerBound
        }
    }

    /// Pages that one checksum is for.
    static let blockPages = UInt64(ImageFormat.checksumBlock / ImageFormat.pageSize)

    /// By id of the space: its id in the parent image, and its pages.
    private var spaces: [UInt32: (parent: UInt32, pages: Pages)] = [:]

    /// None is known.
    init() {}

    /// - Parameters:
    ///   - kept: what is tracked of the tree.
    ///   - identity: of the parent image.
    init(_ sight: TreeSight, _ memory: MemorySight, _ kept: KeptTracking, since identity: [UInt8]) {
        for process in sight.processes where spaces[UInt32(process.space)] == nil {
            guard let tracked = kept.space(of: TrackRecord.Process(process), since: identity) else { continue }
            var runs: [PageRun] = []
            for map in memory.maps(of: process.space, in: sight) where map.flags.contains(.userfaultWriteProtect) {
                for part in TrackRecord.parts(of: map, in: tracked.ranges) {
                    // A range that cannot be asked about is compared.
                    try? WriteTracking.appendUnwritten(part, of: process.door.tid.rawValue, to: &runs)
                }
            }
            spaces[UInt32(process.space)] = (tracked.id, Pages(runs))
        }
    }

    /// - Parameter parent: where the contents of the space are looked for in the parent image. Nil: nothing is known of them.
    func pages(of space: UInt32, as parent: UInt32) -> Pages? {
        guard let found = spaces[space], found.parent == parent else { return nil }
        return found.pages
    }
}
