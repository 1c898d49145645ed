internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// Pages of a seekable image in which they lie as they are. Tasks read them by preadv(2); the monitor reads those of memory objects, and compares
/// the checksums of all.
struct InPlacePages: WalkedPages {
    let image: CheckpointImage
    private let file: ImageFile
    let name: String
    /// It counts bytes.
    var walk: SectionWalk

    init(_ file: ImageFile, _ image: CheckpointImage, name: String) {
        self.file = file
        self.image = image
        self.name = name
        walk = SectionWalk(image)
    }

    var delivery: PageDelivery { .inPlace }
    var number: Int32 { file.number }
    var parentNumbers: Set<UInt32> { [] }

    /// Compares the checksums before the first byte is handed out.
    mutating func readPages(upTo count: Int) throws(RestoreError) -> [UInt8] {
        let section = walk.section
        if walk.done == 0 { try checkPages() }
        let wanted = min(UInt64(count), section.byteCount - walk.done)
        if wanted == 0 { return [] }
        do throws(SystemError) {
            let bytes = try file.descriptor.read(upTo: Int(wanted), at: section.offset + walk.done)
            if bytes.isEmpty { throw SystemError.shortRead }
            walk.done += UInt64(bytes.count)
            return bytes
        } catch { throw RestoreError(cannot: "read image \(name)", error) }
    }

    func checkPages() throws(RestoreError) {
        let section = walk.section
        let found: [UInt32]
        do throws(SystemError) {
            found = try PageCheck.checksums(of: file.descriptor, at: section.offset, length: section.byteCount)
        } catch { throw RestoreError(cannot: "read image \(name)", error) }
        if found == section.checksums { return }
        let bad = zip(found, section.checksums).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? 0
        let place = section.offset + UInt64(bad) * UInt64(ImageFormat.checksumBlock)
        throw RestoreError(
            "cannot read image \(name): the pages at offset \(place) do not match their checksum (the file was damaged; nothing was restarted)",
            exitStatus: 2)
    }
}

extension SystemError {
    fileprivate static let shortRead = SystemError(Errno.EIO, in: "the image is shorter than it was")
}
