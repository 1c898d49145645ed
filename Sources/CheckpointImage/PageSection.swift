/// What the pages of one section of the image belong to.
package struct PageOwner: Hashable, Sendable {
    package var kind: ImagePageDescription.Owner
    /// The id of the address space, the memory object or the set of shared pages.
    package var id: UInt32

    package init(_ kind: ImagePageDescription.Owner, _ id: UInt32) {
        self.kind = kind
        self.id = id
    }
}

extension PageOwner: CustomStringConvertible {
    package var description: String {
        switch kind {
        case .addressSpace: "pages of address space \(id)"
        case .memoryObject: "pages of memory object \(id)"
        case .sharedPages: "shared pages \(id)"
        case .UNRECOGNIZED(let value): "pages of owner kind \(value)"
        }
    }
}

/// The saved pages of one owner, as they lie in a seekable image.
package struct PageSection: Equatable, Sendable {
    package var owner: PageOwner
    package var pages: UInt64
    /// The offset of the first byte in the image; a multiple of 4096. Of a chunked section that of the first chunk.
    package var offset: UInt64
    /// crc32c of each 256 KiB of its pages.
    package var checksums: [UInt32]
    /// Where each record 153 of a chunked section is, and where the last one ends; empty where the pages lie as they are,
    /// and where the image comes from a pipe.
    package var chunks: [UInt64] = []
    /// Where the pages that it leaves out are in the parent image: see record 150.
    package var parent: UInt32 = 0

    package init(owner: PageOwner, pages: UInt64, offset: UInt64, checksums: [UInt32]) {
        self.owner = owner
        self.pages = pages
        self.offset = offset
        self.checksums = checksums
    }

    package var byteCount: UInt64 { pages * UInt64(ImageFormat.pageSize) }
    package var isChunked: Bool { !chunks.isEmpty }
    /// Bytes that the pages take in the image.
    package var storedBytes: UInt64 { isChunked ? chunks[chunks.count - 1] - chunks[0] : byteCount }
}

extension PageSection {
    /// Reads every page and returns the offsets of the 256 KiB blocks whose checksum is wrong.
    ///
    /// - Precondition: it is not chunked; ``SavedPages`` checks any section.
    package func damagedBlocks(in source: some RandomSource) throws(ImageError) -> [UInt64] {
        var damaged: [UInt64] = []
        let block = UInt64(ImageFormat.checksumBlock)
        for (number, checksum) in checksums.enumerated() {
            let start = UInt64(number) * block
            var at = offset + start
            let end = offset + min(start + block, byteCount)
            var sum: UInt32 = 0
            while at < end {
                let bytes: [UInt8]
                do { bytes = try source.read(upTo: Int(end - at), at: at) } catch let error as ImageError {
                    throw error
                } catch { throw ImageError(.source("\(error)")) }
                if bytes.isEmpty { throw ImageError(.endsEarly(at: at)) }
                sum = crc32c(bytes, from: sum)
                at += UInt64(bytes.count)
            }
            if sum != checksum { damaged.append(offset + start) }
        }
        return damaged
    }
}
