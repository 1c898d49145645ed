internal import CheckpointImage

/// Goes through the sections of a seekable image: those of memory objects first, then those of address spaces.
struct SectionWalk {
    private let sections: [PageSection]
    private let objectCount: Int
    private var next = 0
    /// How much of the current section was handed out, as the source counts it.
    var done: UInt64 = 0

    init(_ image: CheckpointImage) {
        let objects = image.pageSections.filter { $0.owner.kind == .memoryObject }
        objectCount = objects.count
        sections = objects + image.pageSections.filter { $0.owner.kind != .memoryObject }
    }

    /// The current section.
    ///
    /// - Precondition: `nextSection` or `nextObject` has given one.
    var section: PageSection { sections[next - 1] }

    mutating func nextObject() -> PageOwner? { next < objectCount ? nextSection() : nil }

    mutating func nextSection() -> PageOwner? {
        guard next < sections.count else { return nil }
        next += 1
        done = 0
        return section.owner
    }

    mutating func beginAgainAfterObjects() { next = objectCount }
}

/// A source that can go back, because its image is seekable.
protocol WalkedPages: PageSource {
    var walk: SectionWalk { get set }
}

extension WalkedPages {
    mutating func nextObject() -> PageOwner? { walk.nextObject() }

    mutating func nextSection() -> PageOwner? { walk.nextSection() }

    mutating func beginAgain() -> Bool {
        walk.beginAgainAfterObjects()
        return true
    }
}
