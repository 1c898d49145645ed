internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import RestorePlan

/// Pages of a seekable image that are compressed, partly in a parent image, or to come late. The monitor puts them in place.
///
/// The checksum of each 256 KiB is compared before the first of its bytes is handed out.
struct PackedPages: WalkedPages {
    var image: CheckpointImage { pages.image }
    let name: String
    let number: Int32
    let parentNumbers: Set<UInt32>
    private let pages: SavedPages
    private let checked: CheckedPages
    /// Nil: another program serves the image, and is asked by this thread alone.
    private let ahead: PagesAhead?
    /// Only what the plan wants is read, and not each section to its end.
    private let isLazy: Bool
    /// It counts pages.
    var walk: SectionWalk

    /// - Parameter number: of the open image.
    init(_ number: Int32, _ pages: SavedPages, name: String, isLazy: Bool = false) {
        self.number = number
        checked = CheckedPages(pages, name: name)
        ahead = pages.source is ImageFile ? PagesAhead(checked) : nil
        self.isLazy = isLazy
        parentNumbers = pages.parent?.numbers ?? []
        self.pages = pages
        self.name = name
        walk = SectionWalk(pages.image)
    }

    var delivery: PageDelivery { .staged }
    var wanted: CheckedPages? { isLazy ? checked : nil }

    mutating func readPages(upTo count: Int) throws(RestoreError) -> [UInt8] {
        let section = walk.section
        let perBlock = ImageFormat.checksumBlock / ImageFormat.pageSize
        let most = UInt64(max(count / ImageFormat.checksumBlock, 1) * perBlock)
        let wanted = min(most, section.pages - walk.done)
        if wanted == 0 { return [] }
        do throws(ImageError) {
            let (place, count) = (walk.done, Int(wanted))
            walk.done += wanted
            guard let ahead else { return try checked.read(section, from: place, count: count) }
            return try ahead.read(section, from: place, count: count, next: Int(min(most, section.pages - walk.done)))
        } catch { throw RestoreError(error, image: name) }
    }

    mutating func beginAgain() -> Bool {
        ahead?.drop()
        walk.beginAgainAfterObjects()
        return true
    }

    mutating func checkPages() throws(RestoreError) {
        while try !readPages(upTo: 1 << 20).isEmpty {}
    }
}

extension SavedPages {
    /// The numbers of the open files of it and of its parents.
    var numbers: Set<UInt32> {
        var numbers: Set<UInt32> = []
        var one: SavedPages? = self
        while let image = one {
            if let file = image.source as? ImageFile { numbers.insert(UInt32(bitPattern: file.number)) }
            if let served = image.source as? ServedImage { numbers.formUnion(served.numbers) }
            one = image.parent
        }
        return numbers
    }
}
