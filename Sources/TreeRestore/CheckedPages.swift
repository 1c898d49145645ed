internal import CheckpointImage
internal import HostProbe
internal import RestorePlan

/// Reads pages of a seekable image at any place, and compares the checksum of each 256 KiB before one of its bytes is handed out.
final class CheckedPages {
    let name: String
    private let pages: SavedPages
    /// The block that was read last: what follows in memory is mostly in it.
    private var last: (owner: PageOwner, index: UInt64, bytes: [UInt8])?

    init(_ pages: SavedPages, name: String) {
        self.pages = pages
        self.name = name
    }

    /// Numbers of the open files of the image and of its parents.
    var numbers: Set<UInt32> { pages.numbers }

    /// Tells the program that serves the image, if there is one, that all pages are here.
    func finish() { (pages.source as? ServedImage)?.done() }

    /// Pages of a section.
    ///
    /// - Parameter place: of the first one; it begins a block.
    func read(_ section: PageSection, from place: UInt64, count: Int) throws(ImageError) -> [UInt8] {
        let bytes = try pages.read(section.owner, from: place, count: count)
        var summer = PageChecksummer()
        summer.add(bytes)
        let first = Int(place / MissingPages.blockPages)
        for (index, sum) in summer.finish().enumerated() where sum != section.checksums[first + index] {
            let offset = UInt64((first + index) * ImageFormat.checksumBlock)
            throw ImageError(.pagesDamaged(at: section.chunks.isEmpty ? section.offset + offset : section.chunks[first + index]))
        }
        return bytes
    }

    /// A block of 256 KiB, less at the end of the section.
    func block(_ index: UInt64, of owner: PageOwner) throws(ImageError) -> [UInt8] {
        if let last, last.index == index && last.owner == owner { return last.bytes }
        guard let section = pages.image.pageSection(of: owner), index * MissingPages.blockPages < section.pages else {
            throw ImageError(.pagesNotThere("\(owner)"))
        }
        let place = index * MissingPages.blockPages
        let bytes = try read(section, from: place, count: Int(min(MissingPages.blockPages, section.pages - place)))
        last = (owner, index, bytes)
        return bytes
    }
}
