internal import CheckpointImage
internal import Kernel

/// Reads the pages of a section one piece ahead: while one is put in place, a second thread reads the next one and unpacks it.
///
/// Only one of the two reads at a time, so the image and its parents need not be made for two.
final class PagesAhead {
    /// A piece that is being read.
    private final class Reading: @unchecked Sendable {
        let owner: PageOwner
        let place: UInt64
        let count: Int
        private let body: () -> Result<[UInt8], ImageError>
        private var thread: WorkThread?
        private var result: Result<[UInt8], ImageError>?

        init(_ pages: CheckedPages, _ section: PageSection, from place: UInt64, count: Int) {
            (owner, self.place, self.count) = (section.owner, place, count)
            body = { Result { () throws(ImageError) in try pages.read(section, from: place, count: count) } }
            // Written by the thread, and read after it has ended.
            thread = try? WorkThread { self.result = self.body() }
        }

        func finish() -> Result<[UInt8], ImageError> {
            thread?.join()
            thread = nil
            return result ?? body()
        }
    }

    private let pages: CheckedPages
    private var reading: Reading?

    init(_ pages: CheckedPages) { self.pages = pages }

    deinit { drop() }

    /// Pages of a section.
    ///
    /// - Parameters:
    ///   - place: of the first one; it begins a block.
    ///   - next: how many of the following ones to read ahead; 0: none. No process may be forked until they have been read or dropped.
    func read(_ section: PageSection, from place: UInt64, count: Int, next: Int) throws(ImageError) -> [UInt8] {
        let ahead = reading
        reading = nil
        let found = ahead?.finish()
        let bytes: [UInt8]
        if let ahead, let found, ahead.owner == section.owner, ahead.place == place, ahead.count == count {
            bytes = try found.get()
        } else {
            bytes = try pages.read(section, from: place, count: count)
        }
        if next > 0 { reading = Reading(pages, section, from: place + UInt64(count), count: next) }
        return bytes
    }

    func drop() {
        _ = reading?.finish()
        reading = nil
    }
}
