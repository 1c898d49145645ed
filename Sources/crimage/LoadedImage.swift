internal import CheckpointImage
internal import HostProbe

/// An image, where its pages lie, and the command lines found among them.
struct LoadedImage {
    private static let longestArguments: UInt64 = 128 * 1024

    var image: CheckpointImage
    /// Arguments of a process by the id of its address space, as the process holds them.
    var arguments: [UInt32: [UInt8]] = [:]
    /// Of the whole image, bytes.
    var size: UInt64
    /// The image that has what this one leaves out.
    var parent: SavedPages?
    /// Why that is not there.
    var parentError: ImageError?

    /// Reads an image; a stream to its end, with all checksums.
    init(_ input: ImageInput, _ parents: ParentSearch) throws {
        switch input {
        case .file(let source): try self.init(file: source, parents)
        case .stream(let source): try self.init(stream: source, parents)
        }
    }

    /// Without its parent, too, it has something to show.
    private init(file source: ImageFile, _ parents: ParentSearch) throws {
        image = try CheckpointImage(reading: source)
        size = source.size
        do throws(ImageError) { parent = try parents.parent(of: image, beside: source.place?.directory) } catch { parentError = error }
        let pages = SavedPages(image, in: source, parent: parent)
        for space in image.addressSpaces {
            let range = Self.argumentRange(space)
            do throws(ImageError) {
                arguments[space.id] = try pages.memory(at: range.lowerBound, upTo: range.count, of: space)
            } catch { if error.kind != .parent { throw error } }
        }
    }

    private init(stream source: ImageStream, _ parents: ParentSearch) throws {
        var reader = SequentialImageReader(source)
        image = try reader.readMetadata()
        parent = try parents.parent(of: image, beside: nil)
        reader.parent = parent
        size = 0
        var wanted: [PageOwner: [(space: UInt32, place: Range<Int>)]] = [:]
        for space in image.addressSpaces {
            if let (owner, place) = Self.argumentPlace(space, image) { wanted[owner, default: []].append((space.id, place)) }
        }
        while let section = try reader.nextSection() {
            let start = reader.offset
            let owner = PageOwner(section.owner, section.id)
            while true {
                let at = Int(reader.offset - start)
                let bytes = try reader.readPages(upTo: 1 << 20)
                if bytes.isEmpty { break }
                for (space, place) in wanted[owner] ?? [] {
                    let part = place.clamped(to: at..<at + bytes.count)
                    arguments[space, default: []] += bytes[part.lowerBound - at..<part.upperBound - at]
                }
            }
            let checksums = try reader.endSection()
            image.add(PageSection(owner: owner, pages: section.pages, offset: start, checksums: checksums))
        }
        try reader.requireEnd()
        size = reader.offset
    }

    private static func argumentRange(_ space: ImageAddressSpace) -> Range<UInt64> {
        space.argumentStart..<min(space.argumentEnd, space.argumentStart + longestArguments)
    }

    /// Where the arguments lie among the saved pages, bytes; nil unless all their pages are saved.
    private static func argumentPlace(_ space: ImageAddressSpace, _ image: CheckpointImage) -> (PageOwner, Range<Int>)? {
        let range = argumentRange(space)
        guard !range.isEmpty, let first = image.savedPlace(ofPage: range.lowerBound / 4096, of: space),
            let last = image.savedPlace(ofPage: (range.upperBound - 1) / 4096, of: space), first.owner == last.owner,
            last.position - first.position == (range.upperBound - 1) / 4096 - range.lowerBound / 4096
        else { return nil }
        let start = Int(first.position * 4096 + range.lowerBound % 4096)
        return (first.owner, start..<start + range.count)
    }
}

extension LoadedImage {
    /// The command line of a process where it is saved, else its command name in brackets.
    func commandLine(of process: ImageProcess) -> String {
        let name = "[\(process.command.asText)]"
        guard process.state != .zombie, var bytes = arguments[image.spaceID(of: process)], !bytes.isEmpty else {
            return name
        }
        while bytes.last == 0 { bytes.removeLast() }
        if bytes.isEmpty { return name }
        return bytes.split(separator: 0, omittingEmptySubsequences: false).map { quoted(Array($0)) }
            .joined(separator: " ")
    }

    /// The processes that use an address space or a file table, e.g. `4711 bash, 4712 cat`.
    func names(of processes: [ImageProcess]) -> String {
        processes.map { "\($0.pid) \($0.command.asText)" }.joined(separator: ", ")
    }

    func savedBytes(_ kind: ImagePageDescription.Owner, _ id: UInt32) -> UInt64 {
        image.pageSection(of: PageOwner(kind, id))?.byteCount ?? 0
    }
}
