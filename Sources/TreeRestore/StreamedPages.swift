internal import CheckpointImage
internal import HostProbe
internal import RestorePlan

/// Pages of an image that can be read only once, from front to back. The monitor reads them and puts them in place.
struct StreamedPages: PageSource {
    let image: CheckpointImage
    let number: Int32
    let parentNumbers: Set<UInt32>
    let name: String
    private let watch: Watch
    private var reader: SequentialImageReader<ImageStream>
    private var upcoming = Upcoming.unknown
    /// Pages of address spaces have been asked for.
    private var isSpent = false

    /// What has been read of the next section, without its pages.
    private enum Upcoming {
        case unknown
        case section(PageOwner)
        case end
    }

    init(_ stream: ImageStream, _ parents: ParentSearch, name: String, _ watch: Watch) throws(ImageError) {
        reader = SequentialImageReader(stream)
        image = try reader.readMetadata()
        reader.parent = try parents.parent(of: image, beside: nil)
        parentNumbers = reader.parent?.numbers ?? []
        number = stream.number
        self.name = name
        self.watch = watch
    }

    var delivery: PageDelivery { .staged }

    mutating func nextObject() throws(RestoreError) -> PageOwner? {
        guard let owner = try lookAhead(), owner.kind == .memoryObject else { return nil }
        upcoming = .unknown
        return owner
    }

    mutating func nextSection() throws(RestoreError) -> PageOwner? {
        guard let owner = try lookAhead() else { return nil }
        upcoming = .unknown
        isSpent = true
        return owner
    }

    private mutating func lookAhead() throws(RestoreError) -> PageOwner? {
        if case .unknown = upcoming {
            let next = try reading { reader throws(ImageError) in try reader.nextSection() }
            if let next { upcoming = .section(PageOwner(next.owner, next.id)) } else { upcoming = .end }
        }
        if case .section(let owner) = upcoming { return owner }
        return nil
    }

    mutating func readPages(upTo count: Int) throws(RestoreError) -> [UInt8] {
        try reading { reader throws(ImageError) in
            let bytes = try reader.readPages(upTo: count)
            if bytes.isEmpty { _ = try reader.endSection() }
            return bytes
        }
    }

    mutating func checkPages() throws(RestoreError) {
        while try !readPages(upTo: 1 << 20).isEmpty {}
    }

    mutating func beginAgain() -> Bool { !isSpent }

    private mutating func reading<Value>(
        _ body: (inout SequentialImageReader<ImageStream>) throws(ImageError) -> Value
    ) throws(RestoreError) -> Value {
        do throws(ImageError) { return try body(&reader) } catch {
            try watch.check()
            throw RestoreError(error, image: name)
        }
    }
}
