internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// Where the contents of memory come from. No other part of a restart knows more about it than this.
///
/// The pages of memory objects come first, then those of address spaces; the pages of one section come in ascending order.
protocol PageSource {
    /// What the plan has to know.
    var delivery: PageDelivery { get }
    /// The open image, which tasks inherit if they read it in place. 0: it takes standard input.
    var number: Int32 { get }
    /// Its metadata, read and checked.
    var image: CheckpointImage { get }
    /// Open files of the images that have what this one leaves out.
    var parentNumbers: Set<UInt32> { get }
    /// What the image is called in messages.
    var name: String { get }
    /// What reads the pages that are wanted, wherever they are. Nil: sections are read from their beginning to their end.
    var wanted: CheckedPages? { get }

    /// The next memory object whose pages come; nil after the last one.
    mutating func nextObject() throws(RestoreError) -> PageOwner?

    /// Whose pages come next; nil at the end of the image, when everything that came agrees with its tail.
    mutating func nextSection() throws(RestoreError) -> PageOwner?

    /// The next bytes of the section, at most `count`; none at its end, when its checksums were right.
    mutating func readPages(upTo count: Int) throws(RestoreError) -> [UInt8]

    /// Goes on to the end of the section and compares its checksums. The bytes are not wanted.
    mutating func checkPages() throws(RestoreError)

    /// Begins again after the memory objects, for another attempt. False: that cannot be done, as pages have been handed out.
    mutating func beginAgain() -> Bool
}

extension PageSource {
    var wanted: CheckedPages? { nil }
}

/// Opens images.
enum PageSources {
    /// The one place that decides what kind of source an input is.
    ///
    /// - Parameters:
    ///   - path: nil for standard input.
    ///   - keys: what the image is decrypted with, and whose signature it has to have.
    ///   - parents: where the images are that have what this one leaves out.
    ///   - isLazy: pages are to come while the tree runs.
    ///   - served: by which another program is asked for the image; nil: it is here.
    /// - Errors: `interrupted`, also while an input has no writer, or while one keeps silent.
    static func open(
        _ path: String?, _ keys: SealKeys, _ parents: ParentSearch, isLazy: Bool, served: DescriptorPair?, _ watch: Watch
    ) throws(RestoreError) -> any PageSource {
        let name = path ?? "(standard input)"
        if let served { return try ask(served, parents, name: name, isLazy: isLazy, watch) }
        let input: ImageInput
        do throws(ImageInputError) { input = try ImageInput(path ?? "-", keys) { watch.isInterrupted } } catch { throw RestoreError(error) }
        if isLazy, case .stream = input { throw RestoreError.notLazy(name) }
        do throws(ImageError) {
            switch input {
            case .file(let file):
                let image = try CheckpointImage(reading: file)
                let parent = try parents.parent(of: image, beside: file.place?.directory)
                if !isLazy && !image.pageSections.contains(where: \.isChunked) { return InPlacePages(file, image, name: name) }
                return PackedPages(file.number, SavedPages(image, in: file, parent: parent), name: name, isLazy: isLazy)
            case .stream(let stream): return try StreamedPages(stream, parents, name: name, watch)
            }
        } catch {
            try watch.check()
            throw RestoreError(error, image: name)
        }
    }

    private static func ask(
        _ ends: DescriptorPair, _ parents: ParentSearch, name: String, isLazy: Bool, _ watch: Watch
    ) throws(RestoreError) -> any PageSource {
        do throws(ImageError) {
            let served = try ServedImage(ends) { watch.isInterrupted }
            let image = try CheckpointImage(reading: served)
            let parent = try parents.parent(of: image, beside: nil)
            return PackedPages(served.number, SavedPages(image, in: served, parent: parent), name: name, isLazy: isLazy)
        } catch {
            try watch.check()
            throw RestoreError(error, image: name)
        }
    }
}

extension RestoreError {
    /// Pages that come when they are touched are read at any place.
    fileprivate static func notLazy(_ name: String) -> RestoreError {
        RestoreError(
            "cannot restart \(shown(name)) lazily: ESPIPE (--lazy reads pages when they are touched: that takes an image in a file, neither encrypted nor signed)",
            exitStatus: 3)
    }
}
