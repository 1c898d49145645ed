package import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Finds the images that an image needs, because it leaves out pages that they have.
///
/// An image is looked for by its file name: in the directory that the user names, beside the image that needs it, and where
/// it was at the checkpoint. Which one is meant is told by its identity alone.
package struct ParentSearch {
    /// Images of a chain: each stays open, and a page is looked for in one after the other.
    private static let longestChain = 500

    private let directory: [UInt8]?

    /// - Parameter directory: of `--parent-dir`.
    package init(directory: [UInt8]? = nil) { self.directory = directory }

    /// The parent of an image, with its own parents; nil for an image that needs none. Metadata are read and checked.
    ///
    /// - Parameter folder: where the image itself is; nil: it has no name.
    package func parent(of image: CheckpointImage, beside folder: [UInt8]?) throws(ImageError) -> SavedPages? {
        guard image.header.hasParent else { return nil }
        var seen = [image.header.identity.asBytes]
        return try open(image.header.parent, folder, &seen)
    }

    private func open(_ wanted: ImageParentImage, _ folder: [UInt8]?, _ seen: inout [[UInt8]]) throws(ImageError) -> SavedPages {
        let identity = wanted.identity.asBytes
        if seen.contains(identity) || seen.count == Self.longestChain { throw ImageError(.parentLoop(wanted.name.asText)) }
        var refusal: ImageError?
        for place in [directory, folder, wanted.directory.asBytes] {
            guard let place else { continue }
            let path = place + Array("/".utf8) + wanted.name.asBytes
            guard let file = ImageFile(at: path) else { continue }
            let image: CheckpointImage
            do throws(ImageError) { image = try CheckpointImage(reading: file) } catch {
                refusal = refusal ?? ImageError(.parentUnfit(printable(path), error.cause))
                continue
            }
            guard image.header.identity == wanted.identity else {
                refusal = refusal ?? ImageError(.parentOther(printable(path)))
                continue
            }
            seen.append(identity)
            return SavedPages(image, in: file, parent: image.header.hasParent ? try open(image.header.parent, place, &seen) : nil)
        }
        throw refusal ?? ImageError(.parentMissing(wanted.name.asText))
    }
}
