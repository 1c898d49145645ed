internal import Kernel
internal import LinuxABI

/// Open files by identity: each open file description once, however many descriptors lead to it.
struct OpenFileIndex {
    /// What two descriptors of one open file description have in common; kcmp(2) decides among equals.
    struct Key: Hashable {
        var device: UInt64
        var inode: UInt64
        var flags: UInt32
        var position: UInt64
    }

    private struct Entry {
        var task: Int32
        var descriptor: Int32
        var id: Int
    }

    private var buckets: [Key: [Entry]] = [:]

    /// The id of the same open file seen before, or its place in the kernel's order.
    func find(_ key: Key, task: Int32, descriptor: Int32) throws(SystemError) -> (id: Int?, place: Int) {
        let (same, place) = try Kernel.find(among: buckets[key] ?? []) { other throws(SystemError) in
            try compare(.openFile, of: task, descriptor, with: other.task, other.descriptor)
        }
        return (same?.id, place)
    }

    mutating func insert(_ key: Key, task: Int32, descriptor: Int32, id: Int, at place: Int) {
        buckets[key, default: []].insert(Entry(task: task, descriptor: descriptor, id: id), at: place)
    }
}

extension TreeLook {
    /// A descriptor table that no task before had.
    mutating func lookAtTable(of tid: HostPid, _ mountNamespace: Int, _ known: Identities.Found) throws(SystemError) -> Int {
        var table = TableSight(holder: tid, descriptors: [])
        for number in try numbers(of: tid) {
            let info = try Seen<DescriptorInfo>(ProcText.fdinfo(of: tid.rawValue, descriptor: number))
            table.descriptors.append(
                DescriptorSight(
                    number: number, file: try openFile(tid, number, info, mountNamespace),
                    isCloseOnExec: info.value.isCloseOnExec, locks: info.value.locks.map { RawText($0) }))
        }
        sight.tables.append(table)
        identities.add(known, id: sight.tables.count)
        return sight.tables.count
    }

    /// The place of the open file behind a descriptor, counted from 1. Notes it where it was not known.
    mutating func openFile(
        _ tid: HostPid, _ number: Int32, _ info: Seen<DescriptorInfo>, _ mountNamespace: Int
    ) throws(SystemError) -> Int {
        let status = try FileStatus(ofDescriptor: number, of: tid.rawValue)
        let key = OpenFileIndex.Key(
            device: status.device, inode: status.inode, flags: info.value.openFlags, position: info.value.position)
        let (known, place) = try openFiles.find(key, task: tid.rawValue, descriptor: number)
        if let known { return known }
        var text: [UInt8] = []
        var failure: SystemError?
        do throws(SystemError) { text = try link(of: tid, number) } catch {
            guard error.number == Errno.ENAMETOOLONG else { throw error }
            failure = error
        }
        var path = KernelPath(link: text, of: KernelPath.Identity(status)) { names.look($0) }
        var isFound = !path.isDeleted && (isName(path.bytes, of: status) || isFoundInOwnProc(tid, path.bytes, status))
        if !isFound, status.linkCount > 0, status.kind != .directory,
            let other = names.otherName(of: status.inode, on: status.device, besides: path.bytes)
        {
            (path, isFound) = (KernelPath(bytes: other, isDeleted: false), true)
        }
        // Of a removed file the contents are saved: its present name goes with the tree.
        let isSilly = isFound && fileSystems.isSillyName(path.bytes, on: status.device)
        if isSilly { isFound = false }
        var file = OpenFileSight(
            holder: tid, number: number, info: info, target: RawText(path.bytes), status: status, isFoundByName: isFound,
            mountNamespace: mountNamespace)
        file.isRemoved = path.isDeleted
        if isSilly { file.details["silly"] = "yes" }
        if let failure { file.fail(failure) }
        file.lookAtOwner(fileSystems)
        file.lookAtFileSystem()
        sight.files.append(file)
        openFiles.insert(key, task: tid.rawValue, descriptor: number, id: sight.files.count, at: place)
        return sight.files.count
    }

    private func numbers(of tid: HostPid) throws(SystemError) -> [Int32] {
        if let noted = descriptorLinks[tid] { return noted.map(\.number) }
        return try descriptors(of: tid.rawValue)
    }

    private func link(of tid: HostPid, _ number: Int32) throws(SystemError) -> [UInt8] {
        if let noted = descriptorLinks[tid]?.first(where: { $0.number == number })?.link { return noted }
        return try descriptorTarget(of: tid.rawValue, number)
    }

    private mutating func isName(_ path: [UInt8], of status: FileStatus) -> Bool {
        let found = status.kind == .link ? try? FileStatus(of: path, followingLinks: false) : names.look(path)
        return found?.isSameFile(as: status) ?? false
    }

    /// A tree in a pid namespace of its own has another `/proc` than crcheckpoint.
    private func isFoundInOwnProc(_ tid: HostPid, _ path: [UInt8], _ status: FileStatus) -> Bool {
        guard path.starts(with: "/proc/".utf8) else { return false }
        return (try? FileStatus(of: Array("/proc/\(tid)/root".utf8) + path))?.isSameFile(as: status) ?? false
    }

    /// The place of the open file that the kernel has at an address, counted from 1; nil: none of the tree's is there.
    mutating func place(ofFileAt address: UInt64) -> Int? {
        if let filePlaces { return filePlaces[address] }
        guard let reader = try? kernelReader() else { return nil }
        var places: [UInt64: Int] = [:]
        for (index, file) in sight.files.enumerated() {
            if let address = try? reader.file(of: file.holder.rawValue, descriptor: file.number) { places[address] = index + 1 }
        }
        filePlaces = places
        return places[address]
    }

    /// What only one kind of files has, of all files of that kind. All descriptors of the tree are known by now.
    mutating func lookAtFiles(of kind: any DescriptorCapture.Type) throws(SystemError) {
        let places = sight.files.indices.filter { DescriptorCaptures.kind(of: sight.files[$0]) == kind }
        if places.isEmpty { return }
        var sights = places.map { sight.files[$0] }
        try kind.look(&sights, &self)
        for (place, seen) in zip(places, sights) { sight.files[place] = seen }
    }

    /// The memory object of a file without a name that can be opened through a link of `/proc`.
    mutating func object(at link: String, name: [UInt8], _ status: FileStatus) -> Int {
        let key = FileKey(status, isSegment: name.starts(with: "/SYSV".utf8))
        if let known = objectIDs[key] { return known }
        var object = ObjectSight(link: RawText(link), name: RawText(name), status: status)
        object.hugePageSize = Kernel.NamelessFile.hugePageSize(link)
        sight.objects.append(object)
        objectIDs[key] = sight.objects.count
        return sight.objects.count
    }
}
