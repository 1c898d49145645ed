internal import CheckpointImage
internal import HostProbe
internal import Kernel
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
    /// What the image is called in messages.
    var name: String { get }

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

/// Opens images.
enum PageSources {
    /// The one place that decides what kind of source an input is.
    ///
    /// - Parameter path: nil for standard input.
    /// - Errors: `interrupted`, also while an input has no writer, or while one keeps silent.
    static func open(_ path: String?, _ watch: Watch) throws(RestoreError) -> any PageSource {
        let name = path ?? "(standard input)"
        let input: ImageInput
        do throws(ImageInputError) { input = try ImageInput(path ?? "-") { watch.isInterrupted } } catch { throw RestoreError(error) }
        do throws(ImageError) {
            switch input {
            case .file(let file): return InPlacePages(file, try CheckpointImage(reading: file), name: name)
            case .stream(let stream): return try StreamedPages(stream, name: name, watch)
            }
        } catch {
            try watch.check()
            throw RestoreError(error, image: name)
        }
    }
}
