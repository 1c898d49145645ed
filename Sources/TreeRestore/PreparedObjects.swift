internal import CheckpointImage
internal import Kernel

/// Memory objects made anew before the fork: shared anonymous memory as memfd, files without a name as
/// such. They go with their descriptors: if this process dies, nothing is left.
final class PreparedObjects {
    private(set) var descriptors: [Int32] = []

    /// Makes them empty.
    init(_ objects: [ImageMemoryObject]) throws(RestoreError) {
        for object in objects {
            do throws(SystemError) {
                let file =
                    object.unlinkedFile
                    ? try NamelessFile.unlinked(like: object.name.asText, mode: object.mode)
                    : try NamelessFile.memory(named: object.name.asText)
                try NamelessFile.prepare(file, size: object.size, mode: object.mode, owner: object.owner, group: object.group)
                descriptors.append(file.release())
            } catch {
                throw RestoreError(cannot: "make \(object.name.asText) again", error)
            }
        }
    }

    deinit { for number in descriptors { _ = Descriptor(owning: number) } }

    /// Writes a piece of an object's pages.
    func write(_ bytes: [UInt8], at offset: UInt64, into index: Int) throws(SystemError) {
        try NamelessFile.write(bytes, to: descriptors[index], at: offset)
    }

    /// Cuts an object to its size: its last page was written whole.
    func finish(_ object: ImageMemoryObject, _ index: Int) throws(SystemError) {
        try NamelessFile.setSize(descriptors[index], object.size)
    }
}

/// Walks over the runs of pages that a stream of bytes belongs to.
struct RunWalk {
    private let pages: [UInt64]
    private let lengths: [UInt64]
    private var index = 0
    private var inRun: UInt64 = 0
    private let pageSize: UInt64 = 4096

    init(_ pages: [UInt64], _ lengths: [UInt64]) {
        self.pages = pages
        self.lengths = lengths
    }

    /// Where the next bytes go: at most `count` of them to one place.
    mutating func next(_ count: Int) -> (address: UInt64, count: Int)? {
        while index < pages.count && inRun == lengths[index] * pageSize {
            index += 1
            inRun = 0
        }
        guard index < pages.count else { return nil }
        let part = min(UInt64(count), lengths[index] * pageSize - inRun)
        defer { inRun += part }
        return (pages[index] * pageSize + inRun, Int(part))
    }
}
