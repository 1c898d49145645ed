internal import CheckpointImage
internal import Kernel

/// Open files by identity: each open file description once, however many descriptors refer to it.
struct OpenFileIndex {
    /// What two descriptors of one open file description have in common; kcmp(2) decides among equals.
    struct Key: Hashable {
        var device: UInt64
        var inode: UInt64
        var flags: UInt32
        var position: UInt64
    }

    struct Entry {
        var pid: Int32
        var descriptor: Int32
        var id: UInt32
    }

    private var buckets: [Key: [Entry]] = [:]

    /// The id of the same open file seen before, or where it belongs in the kernel's order.
    func find(_ key: Key, pid: Int32, descriptor: Int32) throws(SystemError) -> (id: UInt32?, place: Int) {
        guard let bucket = buckets[key] else { return (nil, 0) }
        var low = 0
        var high = bucket.count
        while low < high {
            let middle = (low + high) / 2
            let other = bucket[middle]
            switch try compare(.openFile, of: pid, descriptor, with: other.pid, other.descriptor) {
            case .same: return (other.id, middle)
            case .before: high = middle
            case .after: low = middle + 1
            }
        }
        return (nil, low)
    }

    mutating func insert(_ entry: Entry, _ key: Key, at place: Int) {
        buckets[key, default: []].insert(entry, at: place)
    }
}

/// What of a pipe is held inside the tree.
struct PipeUse {
    var id: UInt32
    var readers: [UInt32] = []
    var writers: [UInt32] = []
    /// One descriptor to look at it through.
    var pid: Int32
    var descriptor: Int32
    /// Where it appears: (process, number, name for people).
    var places: [(pid: Int32, number: Int32)] = []
}

extension Collector {
    /// The descriptor table of one process.
    func collectFiles(of pid: Int32, as id: UInt32) throws(SystemError) {
        var table = ImageFileTable()
        table.id = id
        for number in try descriptors(of: pid) {
            let info = try DescriptorInfo(of: pid, descriptor: number)
            guard let file = try openFile(pid, number, info) else { continue }
            var descriptor = ImageDescriptor()
            descriptor.number = UInt32(number)
            descriptor.file = file
            descriptor.closeOnExec = info.isCloseOnExec
            table.descriptors.append(descriptor)
        }
        tables.append(table)
    }

    private func openFile(_ pid: Int32, _ number: Int32, _ info: DescriptorInfo) throws(SystemError) -> UInt32? {
        let status = try FileStatus(ofDescriptor: number, of: pid)
        let key = OpenFileIndex.Key(
            device: status.device, inode: status.inode, flags: info.openFlags, position: info.position)
        let (known, place) = try openFiles.find(key, pid: pid, descriptor: number)
        if let known {
            if status.kind == .pipe { pipeUses[status.inode]?.places.append((pid, number)) }
            if files[Int(known) - 1].kind == .outside { attach(&files[Int(known) - 1], number) }
            return known
        }
        var file = ImageOpenFile()
        file.id = UInt32(files.count + 1)
        file.flags = info.openFlags
        file.offset = Int64(bitPattern: info.position)
        guard try describe(&file, pid, number, info, status) else { return nil }
        openFiles.insert(OpenFileIndex.Entry(pid: pid, descriptor: number, id: file.id), key, at: place)
        files.append(file)
        return file.id
    }

    /// Fills in what kind of file it is. False: it cannot be saved, and a finding says so.
    private func describe(
        _ file: inout ImageOpenFile, _ pid: Int32, _ number: Int32, _ info: DescriptorInfo, _ status: FileStatus
    ) throws(SystemError) -> Bool {
        let target = text(try descriptorTarget(of: pid, number))
        func refuse(_ reason: String, help: String = "") -> Bool {
            find(pid, "fd \(number)", reason, help: help)
            return false
        }
        if !info.locks.isEmpty { return refuse("holds a file lock on \(target), which cannot be saved yet") }
        if info.openFlags & 0o20000 != 0 { return refuse("sends signals (O_ASYNC) for \(target), which cannot be saved yet") }
        switch status.kind {
        case .regular, .directory:
            if status.linkCount > 0, let known = identity(of: target), known.status.isSameFile(as: status) {
                file.kind = .path
                file.identity = known.identity
                return true
            }
            if status.kind == .directory { return refuse("the directory \(target) has been removed") }
            if status.linkCount > 0 && !target.hasPrefix("/memfd:") {
                return refuse(
                    "the file \(target) cannot be found by its name any more", help: "it was moved; move it back")
            }
            file.kind = .object
            file.object = try object(
                at: "/proc/\(pid)/fd/\(number)",
                name: target.hasSuffix(" (deleted)") ? String(target.dropLast(10)) : target)
            return true
        case .characterDevice:
            let major = status.specialDevice.majorNumber
            if major == 1, let known = identity(of: target), known.status.isSameFile(as: status) {
                file.kind = .path
                file.identity = known.identity
                return true
            }
            if status.isTerminal {
                if status.isTerminalMaster {
                    return refuse("is the master of a pseudo-terminal, which cannot be saved yet")
                }
                file.kind = .outside
                file.description_p = Array(target.utf8).asData
                file.preferred = 3
                attach(&file, number)
                return true
            }
            return refuse("is the device \(target), which cannot be saved")
        case .pipe:
            guard target.hasPrefix("pipe:") else {
                return refuse("is the named pipe \(target), which cannot be saved yet")
            }
            file.kind = .pipeEnd
            file.writeEnd = info.openFlags & 3 == 1
            if info.openFlags & 3 == 2 { return refuse("is a pipe opened for both reading and writing, which cannot be saved yet") }
            var use = pipeUses[status.inode] ?? PipeUse(id: UInt32(pipeUses.count + 1), pid: pid, descriptor: number)
            if file.writeEnd { use.writers.append(file.id) } else { use.readers.append(file.id) }
            use.places.append((pid, number))
            file.pipe = use.id
            pipeUses[status.inode] = use
            return true
        case .socket:
            return refuse("is a socket (\(target)), which cannot be saved yet", help: "sockets are refused in this version")
        case .blockDevice: return refuse("is the block device \(target), which cannot be saved")
        case .anonymous, .link: return refuse("is \(target), which cannot be saved yet")
        }
    }

    /// Something outside is stood in for by one of 0, 1, 2 of crrestart: the lowest it was used as.
    private func attach(_ file: inout ImageOpenFile, _ number: Int32) {
        if number <= 2 && UInt32(number) < file.preferred { file.preferred = UInt32(number) }
    }

    /// Contents of the pipes, and which of them lead out of the tree.
    func finishPipes() {
        for (inode, use) in pipeUses.sorted(by: { $0.value.id < $1.value.id }) {
            _ = inode
            do throws(SystemError) { try collectPipe(use) } catch {
                find(use.pid, "fd \(use.descriptor)", "the pipe cannot be looked into: \(error.name)", help: error.call)
            }
        }
        // Ids must be dense: pipes that turned out to lead outside have none.
        for file in files where file.kind == .outside {
            let name = file.description_p.asText
            let stand = file.preferred <= 2 ? "descriptor \(file.preferred)" : "terminal"
            let notice = "\(name) belongs to somebody outside of the tree: a restart uses its own \(stand) instead"
            if !notices.contains(notice) { notices.append(notice) }
        }
    }

    private func collectPipe(_ use: PipeUse) throws(SystemError) {
        let look = try PipeLook(of: use.pid, descriptor: use.descriptor, forWriting: use.readers.isEmpty)
        let leadsOut =
            use.readers.isEmpty && look.hasReader || use.writers.isEmpty && look.hasWriter
        if leadsOut {
            let wrong = use.places.filter { $0.number > 2 }
            for place in wrong {
                find(place.pid, "fd \(place.number)", "is a pipe whose other end is outside of the tree", help: "checkpoint the tree that holds both ends")
            }
            if wrong.isEmpty {
                for id in use.readers + use.writers {
                    files[Int(id) - 1].kind = .outside
                    files[Int(id) - 1].pipe = 0
                    files[Int(id) - 1].preferred = UInt32(use.places.map(\.number).min() ?? 0)
                    files[Int(id) - 1].description_p = Array("the pipe at \(use.places[0].number) of \(use.places[0].pid)".utf8).asData
                }
            }
            return
        }
        var pipe = ImagePipe()
        pipe.id = use.id
        pipe.capacity = look.capacity
        let flags = files[Int((use.writers + use.readers)[0]) - 1].flags
        pipe.packets = flags & 0o40000 != 0
        pipe.contents = try look.contents(packets: pipe.packets).map(\.asData)
        pipes.append(pipe)
    }
}
