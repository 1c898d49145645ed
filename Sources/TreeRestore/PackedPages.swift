internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import RestorePlan

/// Pages of a seekable image that are compressed, partly in a parent image, or to come late. The monitor puts them in place.
///
/// The checksum of each 256 KiB is compared before the first of its bytes is handed out.
struct PackedPages: PageSource {
    var image: CheckpointImage { pages.image }
    let name: String
    let number: Int32
    let parentNumbers: Set<UInt32>
    private let pages: SavedPages
    private let checked: CheckedPages
    /// Only what the plan wants is read, and not each section to its end.
    private let isLazy: Bool
    private let sections: [PageSection]
    /// How many of them are memory objects: those come first.
    private let objectCount: Int
    private var next = 0
    /// Pages of the current section that were handed out.
    private var done: UInt64 = 0

    init(_ file: ImageFile, _ pages: SavedPages, name: String, isLazy: Bool = false) {
        number = file.number
        checked = CheckedPages(pages, name: name)
        self.isLazy = isLazy
        parentNumbers = pages.parent?.numbers ?? []
        self.pages = pages
        self.name = name
        let objects = pages.image.pageSections.filter { $0.owner.kind == .memoryObject }
        objectCount = objects.count
        sections = objects + pages.image.pageSections.filter { $0.owner.kind != .memoryObject }
    }

    var delivery: PageDelivery { .staged }
    var wanted: CheckedPages? { isLazy ? checked : nil }

    mutating func nextObject() -> PageOwner? { next < objectCount ? nextSection() : nil }

    mutating func nextSection() -> PageOwner? {
        guard next < sections.count else { return nil }
        next += 1
        done = 0
        return sections[next - 1].owner
    }

    mutating func readPages(upTo count: Int) throws(RestoreError) -> [UInt8] {
        let section = sections[next - 1]
        let perBlock = ImageFormat.checksumBlock / ImageFormat.pageSize
        let wanted = Int(min(UInt64(max(count / ImageFormat.checksumBlock, 1) * perBlock), section.pages - done))
        if wanted == 0 { return [] }
        do throws(ImageError) {
            let bytes = try checked.read(section, from: done, count: wanted)
            done += UInt64(wanted)
            return bytes
        } catch { throw RestoreError(error, image: name) }
    }

    mutating func checkPages() throws(RestoreError) {
        while try !readPages(upTo: 1 << 20).isEmpty {}
    }

    mutating func beginAgain() -> Bool {
        next = objectCount
        return true
    }
}

extension SavedPages {
    /// The numbers of the open files of it and of its parents.
    var numbers: Set<UInt32> {
        var numbers: Set<UInt32> = []
        var one: SavedPages? = self
        while let image = one {
            if let file = image.source as? ImageFile { numbers.insert(UInt32(bitPattern: file.number)) }
            one = image.parent
        }
        return numbers
    }
}
