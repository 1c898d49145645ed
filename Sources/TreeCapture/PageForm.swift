internal import CheckpointImage
internal import Kernel

/// In which form pages are written.
struct PageForm {
    var compression: PageCompression?
    private var parent: ChosenParent?
    /// By address space of the new image: where its contents may be in the parent.
    private var spaces: [UInt32: UInt32] = [:]
    private var unchanged = UnchangedPages()

    init() {}

    /// - Parameter unchanged: pages that are as in the parent.
    init(_ compression: PageCompression?, _ parent: ChosenParent?, _ records: ImageRecords, unchanged: UnchangedPages = UnchangedPages()) {
        self.unchanged = unchanged
        self.compression = compression
        self.parent = parent
        spaces = parent?.pages.image.likelySpaces(of: records) ?? [:]
    }

    /// They lie in the file as they are.
    var isPlain: Bool { compression == nil && parent == nil }

    /// What the pages of a section are compared with.
    ///
    /// - Parameter runs: its pages.
    func comparison(
        _ owner: PageOwner, _ runs: [(page: UInt64, count: UInt64)], _ records: ImageRecords
    ) -> ParentComparison? {
        guard let parent else { return nil }
        let id: UInt32?
        switch owner.kind {
        case .memoryObject: id = records.memoryObjects.first { $0.id == owner.id }.map { parent.pages.image.likelyObject(of: $0) }
        case .sharedPages:
            // Any of the holders will do, as all of them have these pages at the same addresses.
            id = records.sharedPages.first { $0.id == owner.id }?.holders.first.flatMap { spaces[$0.addressSpace] }
        default: id = spaces[owner.id]
        }
        guard let id, id != 0 else { return nil }
        return ParentComparison(owner, (runs.map(\.page), runs.map(\.count)), with: parent.pages, at: id)
    }
}

extension PageForm {
    /// What of a section need not be read, and what follows it.
    struct Part {
        /// Of blocks that are as in the parent, as the kernel knows.
        var checksums: [UInt32] = []
        /// Pages that are to be read, behind these blocks.
        var runs: [(page: UInt64, count: UInt64)] = []
    }

    /// Pages of a section that are as in the parent if they are there; nil: nothing is known.
    func known(of owner: PageOrigin.Owner, _ comparison: ParentComparison?) -> UnchangedPages.Pages? {
        guard case .space(let id) = owner, let comparison else { return nil }
        return unchanged.pages(of: id, as: comparison.id)
    }

    /// A section in parts: one that is read as a whole where nothing is known of its pages.
    func parts(of owner: PageOrigin.Owner, _ runs: [(page: UInt64, count: UInt64)], _ comparison: ParentComparison?) -> [Part] {
        guard let comparison, let pages = known(of: owner, comparison) else { return [Part(runs: runs)] }
        var parts: [Part] = []
        var rest = SectionRuns(runs)
        for block in 0..<comparison.wholeBlocks {
            let checksum = comparison.checksum(ofBlock: block) { pages.contains($0) }
            if let checksum {
                if parts.last.map({ !$0.runs.isEmpty }) ?? true { parts.append(Part()) }
                parts[parts.count - 1].checksums.append(checksum)
                _ = rest.take(UnchangedPages.blockPages)
            } else {
                if parts.isEmpty { parts.append(Part()) }
                parts[parts.count - 1].runs += rest.take(UnchangedPages.blockPages)
            }
        }
        if parts.isEmpty { parts.append(Part()) }
        parts[parts.count - 1].runs += rest.take(.max)
        return parts
    }

    /// The runs of a section, from the first page on.
    private struct SectionRuns {
        private let runs: [(page: UInt64, count: UInt64)]
        private var next = 0
        private var done: UInt64 = 0

        init(_ runs: [(page: UInt64, count: UInt64)]) { self.runs = runs }

        /// The next pages, as many as are there.
        mutating func take(_ count: UInt64) -> [(page: UInt64, count: UInt64)] {
            var taken: [(page: UInt64, count: UInt64)] = []
            var left = count
            while left > 0, next < runs.count {
                let run = runs[next]
                let part = min(left, run.count - done)
                if part > 0 { taken.append((run.page + done, part)) }
                left -= part
                done += part
                if done == run.count { (next, done) = (next + 1, 0) }
            }
            return taken
        }
    }
}

/// Writes the pages of a section as chunks: without those that the parent image has, and compressed.
final class ChunkedOutput {
    private let encoder: PageChunkEncoder
    private let output: OutputFile
    private var comparison: ParentComparison?
    /// Pages that are as in the parent if they are there.
    private var known = UnchangedPages.Pages([])
    /// Pages of all sections that were left out without being compared.
    private(set) var knownPages: UInt64 = 0
    /// Pages of the section that were taken.
    private var taken: UInt64 = 0
    private var byteCount = 0

    init(compression: PageCompression?, to output: OutputFile) throws(ImageError) {
        encoder = try PageChunkEncoder(compression)
        self.output = output
    }

    func begin(_ comparison: ParentComparison?, known: UnchangedPages.Pages?) {
        self.comparison = comparison
        self.known = known ?? UnchangedPages.Pages([])
        (taken, byteCount) = (0, 0)
    }

    /// Takes the next pages: a multiple of a chunk, but for the last ones.
    func take(_ pages: RawSpan) throws(SystemError) {
        var leftOut: [UInt64] = []
        var at = 0
        while at < pages.byteCount {
            let end = min(at + ImageFormat.checksumBlock, pages.byteCount)
            leftOut.append(comparison?.same(pages.extracting(at..<end), from: taken, isKnown: isKnown) ?? 0)
            taken += UInt64((end - at) / ImageFormat.pageSize)
            at = end
        }
        let records = encoder.records(of: pages, leftOut: leftOut)
        try output.write(records)
        byteCount += records.count
    }

    private func isKnown(_ pages: Range<UInt64>) -> Bool {
        guard known.contains(pages) else { return false }
        knownPages += UInt64(pages.count)
        return true
    }

    /// Leaves out whole chunks.
    func leaveOut(_ chunks: Int) throws(SystemError) {
        let pages = Self.anyPages
        for _ in 0..<chunks {
            let record = encoder.records(of: pages.span.bytes, leftOut: [.max])
            try output.write(record)
            taken += UnchangedPages.blockPages
            knownPages += UnchangedPages.blockPages
            byteCount += record.count
        }
    }

    /// In place of pages that are left out.
    private static let anyPages = [UInt8](repeating: 0, count: ImageFormat.checksumBlock)

    /// How many bytes were written for the section.
    func end() -> Int { byteCount }
}
