internal import CheckpointImage
internal import Kernel

/// In which form pages are written.
struct PageForm {
    var compression: PageCompression?
    private var parent: ChosenParent?
    /// By address space of the new image: where its contents may be in the parent.
    private var spaces: [UInt32: UInt32] = [:]

    init() {}

    init(_ compression: PageCompression?, _ parent: ChosenParent?, _ records: ImageRecords) {
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

/// Writes the pages of a section as chunks: without those that the parent image has, and compressed.
final class ChunkedOutput {
    private let encoder: PageChunkEncoder
    private let output: OutputFile
    private var comparison: ParentComparison?
    /// Pages of the section that were taken.
    private var taken: UInt64 = 0
    private var byteCount = 0

    init(compression: PageCompression?, to output: OutputFile) throws(ImageError) {
        encoder = try PageChunkEncoder(compression)
        self.output = output
    }

    func begin(_ comparison: ParentComparison?) {
        self.comparison = comparison
        (taken, byteCount) = (0, 0)
    }

    /// Takes the next pages: a multiple of a chunk, but for the last ones.
    func take(_ pages: RawSpan) throws(SystemError) {
        var leftOut: [UInt64] = []
        var at = 0
        while at < pages.byteCount {
            let end = min(at + ImageFormat.checksumBlock, pages.byteCount)
            leftOut.append(comparison?.same(pages.extracting(at..<end), from: taken) ?? 0)
            taken += UInt64((end - at) / ImageFormat.pageSize)
            at = end
        }
        let records = encoder.records(of: pages, leftOut: leftOut)
        try output.write(records)
        byteCount += records.count
    }

    /// How many bytes were written for the section.
    func end() -> Int { byteCount }
}
