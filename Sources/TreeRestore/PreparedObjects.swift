internal import CheckpointImage
internal import Kernel

/// Memory objects made anew before the fork: shared anonymous memory as memfd, files without a name as
/// such. They go with their descriptors: if this process dies, nothing is left.
struct PreparedObjects: ~Copyable {
    private(set) var descriptors: [Int32] = []

    /// Makes them empty.
    init(_ objects: [ImageMemoryObject]) throws(RestoreError) {
        for object in objects {
            do throws(SystemError) {
                let file =
                    object.unlinkedFile
                    ? try NamelessFile.unlinked(like: object.name.asBytes, mode: object.mode)
                    : try NamelessFile.memory(named: object.name.asBytes)
                try NamelessFile.prepare(file, size: object.size, mode: object.mode, owner: object.owner, group: object.group)
                descriptors.append(file.release())
            } catch {
                throw RestoreError(cannot: "make \(object.name.asText) again", error)
            }
        }
    }

    deinit { for number in descriptors { _ = Descriptor(owning: number) } }

    /// Writes a piece of an object's pages.
    borrowing func write(_ bytes: [UInt8], at offset: UInt64, into index: Int) throws(SystemError) {
        try NamelessFile.write(bytes, to: descriptors[index], at: offset)
    }

    /// Cuts an object to its size: its last page was written whole.
    borrowing func finish(_ object: ImageMemoryObject, _ index: Int) throws(SystemError) {
        try NamelessFile.setSize(descriptors[index], object.size)
    }
}
