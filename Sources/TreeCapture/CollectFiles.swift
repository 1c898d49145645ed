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
    /// One place for each open file.
    private(set) var all: [Entry] = []

    /// The id of the same open file seen before, or where it belongs in the kernel's order.
    func find(_ key: Key, pid: Int32, descriptor: Int32) throws(SystemError) -> (id: UInt32?, place: Int) {
        let (same, place) = try Kernel.find(among: buckets[key] ?? []) { other throws(SystemError) in
            try compare(.openFile, of: pid, descriptor, with: other.pid, other.descriptor)
        }
        return (same?.id, place)
    }

    mutating func insert(_ entry: Entry, _ key: Key, at place: Int) {
        buckets[key, default: []].insert(entry, at: place)
        all.append(entry)
    }
}

/// A descriptor that is being collected, and what the kernel says of it from outside.
struct DescriptorLook {
    var pid: Int32
    var number: Int32
    var info: DescriptorInfo
    var status: FileStatus
    /// Where it leads, e.g. `/tmp/x`, `anon_inode:[eventfd]`.
    var target: String
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
        let target = text(try descriptorTarget(of: pid, number))
        let look = DescriptorLook(pid: pid, number: number, info: info, status: status, target: target)
        guard try describe(&file, look) else { return nil }
        openFiles.insert(OpenFileIndex.Entry(pid: pid, descriptor: number, id: file.id), key, at: place)
        files.append(file)
        return file.id
    }

    /// Fills in what kind of file it is: each kind has a file in `Objects`. False: it cannot be saved, and a
    /// finding says so.
    private func describe(_ file: inout ImageOpenFile, _ look: DescriptorLook) throws(SystemError) -> Bool {
        if !look.info.locks.isEmpty {
            return refuse(look, "holds a file lock on \(look.target), which cannot be saved yet")
        }
        if look.info.openFlags & 0o20000 != 0 {
            return refuse(look, "sends signals (O_ASYNC) for \(look.target), which cannot be saved yet")
        }
        switch look.target {
        case "anon_inode:[eventfd]": return eventFile(&file, look)
        case "anon_inode:[signalfd]": return signalFile(&file, look)
        case "anon_inode:[timerfd]": return try timerFile(&file, look)
        case "anon_inode:[eventpoll]": return try epoll(&file, look)
        case let other where other.hasPrefix("anon_inode:"): return refuse(look, "is \(other), which cannot be saved yet")
        default: break
        }
        switch look.status.kind {
        case .regular, .directory: return try namedFile(&file, look)
        case .characterDevice: return device(&file, look)
        case .pipe: return pipeEnd(&file, look)
        case .socket:
            return refuse(
                look, "is a socket (\(look.target)), which cannot be saved yet",
                help: "sockets are refused in this version")
        case .blockDevice: return refuse(look, "is the block device \(look.target), which cannot be saved")
        case .anonymous, .link: return refuse(look, "is \(look.target), which cannot be saved yet")
        }
    }

    /// Makes a finding of a descriptor. Always false.
    func refuse(_ look: DescriptorLook, _ reason: String, help: String = "") -> Bool {
        find(look.pid, "fd \(look.number)", reason, help: help)
        return false
    }

    /// What can be said only when the descriptors of all processes are known.
    func finishFiles() {
        finishPipes()
        finishEpolls()
        finishOutside()
    }
}
