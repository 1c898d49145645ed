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
    /// By object: bytes of its huge pages from the pool; 0: it has ordinary ones.
    private let poolPages: [UInt64]

    /// System V shared memory that has been made, which outlives this process.
    private var made: [Int32] = []
    /// What could not be given to them.
    private(set) var notices: [String] = []
    /// Names of POSIX message queues, likewise.
    private var madeQueues: [[UInt8]] = []

    /// Makes them empty, each at the number at which the tree inherits it.
    init(of plan: RestorePlan) throws(RestoreError) {
        let (image, high) = (plan.valid.image, plan.high)
        programs = Set(image.processes.lazy.map(\.executable.object).filter { $0 != 0 })
        poolPages = image.memoryObjects.map { $0.hugePageShift == 0 ? 0 : 1 << UInt64($0.hugePageShift) }
        for queue in plan.valid.missingQueues {
            do throws(SystemError) {
                try QueueFileState(mostMessages: queue.mostMessages, longestMessage: queue.longestMessage, messages: 0)
                    .make(queue.name.asBytes, mode: queue.mode, owner: queue.owner, group: queue.group)
                madeQueues.append(queue.name.asBytes)
            } catch {
                for name in madeQueues { QueueFileState.remove(name) }
                throw RestoreError(cannot: "make the POSIX message queue /\(queue.name.asText) again", error)
            }
        }
        for (index, object) in image.memoryObjects.enumerated() {
            let mode = mode(of: object)
            do throws(SystemError) {
                if let segment = plan.valid.sharedSegments.first(where: { $0.object == object.id }) {
                    let file = try openSegment(segment, size: object.size)
                    try DescriptorTable.place(file.number, at: high.object(index))
                    descriptors.append(Int32(bitPattern: high.object(index)))
                    continue
                }
                let file =
                    object.unlinkedFile
                    ? try NamelessFile.unlinked(like: object.name.asBytes, mode: mode)
                    : try NamelessFile.memory(
                        named: object.name.asBytes, canBeSealed: Self.canBeSealed(object), hugePageShift: object.hugePageShift)
                try NamelessFile.prepare(file, size: object.size, mode: mode, owner: object.owner, group: object.group)
                try DescriptorTable.place(file.number, at: high.object(index))
                descriptors.append(Int32(bitPattern: high.object(index)))
            } catch {
                for number in made { SharedSegments.remove(number) }
                for name in madeQueues { QueueFileState.remove(name) }
                throw RestoreError(cannot: "make \(object.name.asText) again", error)
            }
        }
    }

    /// A program file that could not be started any more was one of the reasons to save it.
    private func mode(of object: ImageMemoryObject) -> UInt32 { object.mode | (programs.contains(object.id) ? 0o500 : 0) }

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

    deinit {
        for number in descriptors { _ = Descriptor(owning: number) }
        for number in made { SharedSegments.remove(number) }
        for name in madeQueues { QueueFileState.remove(name) }
    }

    // MARK: - System V shared memory

    private mutating func openSegment(_ plan: SharedSegmentPlan, size: UInt64) throws(SystemError) -> Descriptor {
        let number = Int32(bitPattern: plan.segment.number)
        if plan.isMade {
            try SharedSegments.make(number: number, key: plan.segment.removed ? 0 : plan.segment.key, size: size, mode: plan.segment.mode)
            made.append(number)
            try SharedSegments.setOwner(of: number, owner: plan.segment.owner, group: plan.segment.group, mode: plan.segment.mode)
        }
        let file = try SharedSegments.open(number, size: size)
        if !plan.isMade { try SharedSegments.clear(file, size: size) }
        if plan.segment.locked { try SharedSegments.lock(number) }
        return file
    }

    /// Removes those that the program had removed: they go with their last attachment. Comes when all are attached.
    borrowing func removeSegments(_ plan: RestorePlan) {
        for one in plan.valid.sharedSegments where one.segment.removed { SharedSegments.remove(Int32(bitPattern: one.segment.number)) }
    }

    /// The tree has them: they stay.
    mutating func keepAll() { (made, madeQueues) = ([], []) }

    /// What the guardian does if the monitor dies before the point of no return.
    static func remove(madeBy plan: RestorePlan) {
        for queue in plan.valid.missingQueues { QueueFileState.remove(queue.name.asBytes) }
        for one in plan.valid.sharedSegments where one.isMade { SharedSegments.remove(Int32(bitPattern: one.segment.number)) }
    }

    /// Writes a piece of an object's pages.
    borrowing func write(_ bytes: [UInt8], at offset: UInt64, into index: Int) throws(SystemError) {
        if poolPages[index] != 0 { return try NamelessFile.write(bytes, toPool: descriptors[index], at: offset, pageSize: poolPages[index]) }
        try NamelessFile.write(bytes, to: descriptors[index], at: offset)
    }

    /// Cuts an object to its size (its last page was written whole), and gives it the rest of what it had.
    mutating func finish(_ object: ImageMemoryObject, _ index: Int) throws(SystemError) {
        let number = descriptors[index]
        try NamelessFile.setSize(number, object.size)
        let attributes = object.attributes.map { FileAttribute(name: $0.name.asBytes, value: $0.value.asBytes) }
        for name in NamelessFile.set(attributes, mode: mode(of: object), on: number) {
            notices.append("\(shown(object.name.asText)) has lost its extended attribute \(printable(name)): its file system here does not take it")
        }
        if object.unlinkedFile { try NamelessFile.setTimes(number, accessed: object.accessed, modified: object.modified) }
        // A memfd is not counted as open for writing here: it was made, not opened.
        guard object.unlinkedFile, programs.contains(object.id) else { return }
        // What can write is closed, so the file can be executed; the tree inherits the other at the same number.
        let reader = try NamelessFile.forReading(number)
        DescriptorTable.close(number)
        try DescriptorTable.place(reader.number, at: UInt32(bitPattern: number))
    }
}
