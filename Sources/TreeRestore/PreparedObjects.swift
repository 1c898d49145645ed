internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// Memory objects made anew before the fork: shared anonymous memory as memfd, files without a name as
/// such. They go with their descriptors: if this process dies, nothing is left.
struct PreparedObjects: ~Copyable {
    private(set) var descriptors: [Int32] = []
    /// Ids of those that are program files.
    private let programs: Set<UInt32>

    /// Makes them empty, each at the number at which the tree inherits it.
    init(of image: CheckpointImage, at high: RestorePlan.HighDescriptors) throws(RestoreError) {
        programs = Set(image.processes.lazy.map(\.executable.object).filter { $0 != 0 })
        for (index, object) in image.memoryObjects.enumerated() {
            // A program file that could not be started any more was one of the reasons to save it.
            let mode = object.mode | (programs.contains(object.id) ? 0o500 : 0)
            do throws(SystemError) {
                let file =
                    object.unlinkedFile
                    ? try NamelessFile.unlinked(like: object.name.asBytes, mode: mode)
                    : try NamelessFile.memory(named: object.name.asBytes, canBeSealed: Self.canBeSealed(object))
                try NamelessFile.prepare(file, size: object.size, mode: mode, owner: object.owner, group: object.group)
                try DescriptorTable.place(file.number, at: high.object(index))
                descriptors.append(Int32(bitPattern: high.object(index)))
            } catch {
                throw RestoreError(cannot: "make \(object.name.asText) again", error)
            }
        }
    }

    /// Without MFD_ALLOW_SEALING a memfd has one seal: that against further ones.
    private static func canBeSealed(_ object: ImageMemoryObject) -> Bool {
        !object.unlinkedFile && object.name.asBytes.starts(with: "/memfd:".utf8) && UInt64(object.seals) != Seal.F_SEAL_SEAL
    }

    /// Puts the seals on. Comes when everything is mapped, and when no attempt to restart can follow any more: they forbid
    /// what an attempt does.
    borrowing func seal(_ objects: [ImageMemoryObject]) throws(RestoreError) {
        for (object, number) in zip(objects, descriptors) where object.seals != 0 && Self.canBeSealed(object) {
            do throws(SystemError) { try NamelessFile.seal(number, object.seals) } catch {
                throw RestoreError(cannot: "seal \(object.name.asText)", error)
            }
        }
    }

    deinit { for number in descriptors { _ = Descriptor(owning: number) } }

    /// Writes a piece of an object's pages.
    borrowing func write(_ bytes: [UInt8], at offset: UInt64, into index: Int) throws(SystemError) {
        try NamelessFile.write(bytes, to: descriptors[index], at: offset)
    }

    /// Cuts an object to its size (its last page was written whole), and gives it the rest of what it had.
    mutating func finish(_ object: ImageMemoryObject, _ index: Int) throws(SystemError) {
        let number = descriptors[index]
        try NamelessFile.setSize(number, object.size)
        if object.unlinkedFile { try NamelessFile.setTimes(number, accessed: object.accessed, modified: object.modified) }
        // A memfd is not counted as open for writing here: it was made, not opened.
        guard object.unlinkedFile, programs.contains(object.id) else { return }
        // What can write is closed, so the file can be executed; the tree inherits the other at the same number.
        let reader = try NamelessFile.forReading(number)
        DescriptorTable.close(number)
        try DescriptorTable.place(reader.number, at: UInt32(bitPattern: number))
    }
}
