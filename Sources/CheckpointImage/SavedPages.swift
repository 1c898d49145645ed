internal import CCodec

/// The pages of an image in a file, however it keeps them: as they are, in chunks, or left out because its parent has them.
///
/// Every chunk's own checksum is compared; those of the sections (`PageSection.checksums`) are for the reader to compare.
package final class SavedPages {
    package let image: CheckpointImage
    /// The image that has what this one leaves out.
    package let parent: SavedPages?
    package let source: any RandomSource
    /// Chunks that were read last, the newest first. More than one, as pages of several owners may be wanted by turns.
    private var recent: [(owner: PageOwner, index: Int, chunk: PageChunk)] = []
    private var leftOut: [PageOwner: LeftOutPages] = [:]
    private static let mostRecent = 8

    /// - Parameter source: of which the image was read.
    package init(_ image: CheckpointImage, in source: any RandomSource, parent: SavedPages? = nil) {
        self.image = image
        self.source = source
        self.parent = parent
    }

    /// Whole pages of a section.
    ///
    /// - Parameter place: of the first one, among the pages of the section.
    package func read(_ owner: PageOwner, from place: UInt64, count: Int) throws(ImageError) -> [UInt8] {
        guard let section = image.pageSection(of: owner), place <= section.pages, UInt64(count) <= section.pages - place else {
            throw ImageError(.pagesNotThere("\(owner)"))
        }
        guard section.isChunked else {
            let pageSize = UInt64(ImageFormat.pageSize)
            return try source.bytes(count * ImageFormat.pageSize, at: section.offset + place * pageSize)
        }
        var bytes: [UInt8] = []
        let perChunk = UInt64(PageChunk.mostPages)
        let end = place + UInt64(count)
        var at = place
        while at < end {
            let index = at / perChunk
            let first = index * perChunk
            let upTo = min(end, first + perChunk)
            let part = try chunk(Int(index), of: section).pages(in: Int(at - first)..<Int(upTo - first)) { pages throws(ImageError) in
                try leftOutPages(of: section).read(from: first + UInt64(pages.lowerBound), count: pages.count)
            }
            if at == place && upTo == end { return part }
            bytes += part
            at = upTo
        }
        return bytes
    }

    private func chunk(_ index: Int, of section: PageSection) throws(ImageError) -> PageChunk {
        if let known = recent.firstIndex(where: { $0.index == index && $0.owner == section.owner }) {
            if known > 0 { recent.insert(recent.remove(at: known), at: 0) }
            return recent[0].chunk
        }
        let at = section.chunks[index]
        let length = section.chunks[index + 1] - at
        let bytes = ByteSource(try source.bytes(Int(length), at: at))
        var reader = RecordReader(bytes, size: at + length, offset: at)
        let header = try reader.header()
        guard header.type == RecordType.pageChunk.rawValue else {
            throw ImageError(.unexpected(type: header.type, at: at, "in place of a page chunk"))
        }
        let body = try reader.body(of: header)
        let pages = section.pages - UInt64(index * PageChunk.mostPages)
        let chunk = try PageChunk(body, pages: Int(min(pages, UInt64(PageChunk.mostPages))), hasParent: section.parent != 0, at: at)
        if recent.count == Self.mostRecent { recent.removeLast() }
        recent.insert((section.owner, index, chunk), at: 0)
        return chunk
    }

    private func leftOutPages(of section: PageSection) throws(ImageError) -> LeftOutPages {
        if let known = leftOut[section.owner] { return known }
        let made = try LeftOutPages(of: section.owner, section.parent, of: image, in: parent)
        leftOut[section.owner] = made
        return made
    }

    /// Compares the checksums of a section.
    ///
    /// - Parameter bad: is given the reason for each 256 KiB that differ from them, or that cannot be read.
    package func check(_ section: PageSection, bad: (ImageError) throws(ImageError) -> Void) throws(ImageError) {
        let perChunk = UInt64(PageChunk.mostPages)
        for (index, checksum) in section.checksums.enumerated() {
            let place = UInt64(index) * perChunk
            guard place < section.pages else { return }
            let at = section.isChunked ? section.chunks[index] : section.offset + place * UInt64(ImageFormat.pageSize)
            do throws(ImageError) {
                let bytes = try read(section.owner, from: place, count: Int(min(perChunk, section.pages - place)))
                if crc32c(bytes) != checksum { throw ImageError(.pagesDamaged(at: at)) }
            } catch {
                if error.kind == .unreadable { throw error }
                try bad(error)
            }
        }
    }
}

/// The pages that one section leaves out.
struct LeftOutPages {
    private let owner: PageOwner
    private let numbers: PageNumbers
    private let places: SavedPlaces
    private let parent: SavedPages

    /// - Parameters:
    ///   - id: in the parent image, as the description of the section says.
    ///   - image: whose section it is.
    init(of owner: PageOwner, _ id: UInt32, of image: CheckpointImage, in parent: SavedPages?) throws(ImageError) {
        guard let parent else { throw ImageError(.parentMissing(image.header.parent.name.asText)) }
        self.owner = owner
        self.parent = parent
        numbers = image.numbers(of: owner)
        places = SavedPlaces(owner.kind, id, in: parent.image)
    }

    func read(from first: UInt64, count: Int) throws(ImageError) -> [UInt8] {
        var bytes: [UInt8] = []
        var at = first
        let end = first + UInt64(count)
        while at < end {
            guard let (page, following) = numbers.number(at: at), let found = places.place(of: page) else {
                throw ImageError(.parentLacksPages("\(owner)"))
            }
            let part = min(end - at, following, found.count)
            let read = try parent.read(found.owner, from: found.place, count: Int(part))
            if part == UInt64(count) { return read }
            bytes += read
            at += part
        }
        return bytes
    }
}

extension CheckpointImage {
    func numbers(of owner: PageOwner) -> PageNumbers {
        switch owner.kind {
        case .addressSpace: addressSpace(owner.id).map { PageNumbers($0.runPage, $0.runLength) } ?? PageNumbers([], [])
        case .memoryObject: memoryObject(owner.id).map { PageNumbers($0.runPage, $0.runLength) } ?? PageNumbers([], [])
        default:
            sharedPages.first { $0.id == owner.id }.map { PageNumbers($0.runPage, $0.runLength) } ?? PageNumbers([], [])
        }
    }
}

extension RandomSource {
    /// Exactly `count` bytes.
    func bytes(_ count: Int, at offset: UInt64) throws(ImageError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more: [UInt8]
            do { more = try read(upTo: count - bytes.count, at: offset + UInt64(bytes.count)) } catch let error as ImageError {
                throw error
            } catch { throw ImageError(.source("\(error)")) }
            if more.isEmpty { throw ImageError(.endsEarly(at: offset + UInt64(bytes.count))) }
            if bytes.isEmpty { bytes = more } else { bytes += more }
        }
        return bytes
    }
}
