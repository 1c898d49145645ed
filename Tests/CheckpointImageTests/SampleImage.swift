import CheckpointImage
import FoundationEssentials
import SwiftProtobuf

/// A small tree: a shell with a helper thread, a child that shares its file table, a zombie.
enum Sample {
    static let regionStart: UInt64 = 0x40_0000

    static func records() -> ImageRecords {
        var records = ImageRecords()
        records.header = header()
        records.processes = [process(10, parent: 0, space: 1), process(12, parent: 10, space: 2), zombie()]
        records.threads = [thread(10, of: 10), thread(11, of: 10), thread(12, of: 12)]
        records.addressSpaces = [space(1), space(2)]
        records.fileTables = [table()]
        records.openFiles = files()
        records.pipes = [pipe()]
        records.memoryObjects = [object()]
        records.processes[0].posixTimers = [timer(3, .signal), timer(7, .thread)]
        records.semaphoreSets = [semaphores()]
        return records
    }

    static func header() -> ImageHeader {
        var header = ImageHeader()
        header.formatVersion = 1
        header.toolVersion = "0.1"
        header.kernelRelease = "6.1.0"
        header.hostName = "host"
        header.architecture = "x86_64"
        header.pageSize = 4096
        header.begin.realtime = 1_700_000_000_000_000_000
        header.root = 10
        return header
    }

    /// Two sets of control groups, one of them for a thread alone. Not in every sample: the places of records would move.
    static func addCgroups(to records: inout ImageRecords) {
        records.header.cgroupSets = [cgroups(memory: "/m", unified: "/"), cgroups(memory: "/m/x y", unified: "/../z")]
        for index in 0..<2 { records.processes[index].cgroupSet = 1 }
        records.threads[1].cgroupSet = 2
    }

    static func cgroups(memory: String, unified: String) -> ImageCgroupSet {
        var set = ImageCgroupSet()
        set.cgroups = [("memory", memory), ("", unified)].map { hierarchy, path in
            var cgroup = ImageCgroup()
            cgroup.hierarchy = hierarchy
            cgroup.path = Data(path.utf8)
            return cgroup
        }
        return set
    }

    static func process(_ pid: UInt32, parent: UInt32, space: UInt32) -> ImageProcess {
        var process = ImageProcess()
        process.pid = pid
        process.parent = parent
        process.group = 10
        process.session = 10
        process.exitSignal = 17
        process.addressSpace = space
        process.fileTable = 1
        process.executable.path = Data("/bin/sh".utf8)
        process.workingDirectory = Data("/tmp".utf8)
        process.rootDirectory = Data("/".utf8)
        process.umask = 0o022
        process.command = Data("sh".utf8)
        var action = ImageSignalAction()
        action.signal = 15
        action.handler = 0x40_1000
        process.actions = [action]
        return process
    }

    static func directories(root: String) -> ImageDirectories {
        var directories = ImageDirectories()
        directories.id = 1
        directories.workingDirectory = Data("/tmp".utf8)
        directories.rootDirectory = Data(root.utf8)
        return directories
    }

    static func zombie() -> ImageProcess {
        var process = ImageProcess()
        process.pid = 13
        process.parent = 12
        process.group = 10
        process.session = 10
        process.state = .zombie
        process.exitStatus = 9
        process.command = Data("true".utf8)
        return process
    }

    static func thread(_ tid: UInt32, of pid: UInt32) -> ImageThread {
        var thread = ImageThread()
        thread.tid = tid
        thread.process = pid
        thread.name = Data("sh".utf8)
        var record = ImageCpuRecord()
        record.body = Data([1, 2, 3])
        thread.cpu = [record]
        thread.pending = [signal(10)]
        return thread
    }

    static func exitedThread(_ tid: UInt32, of pid: UInt32) -> ImageThread {
        var thread = ImageThread()
        thread.tid = tid
        thread.process = pid
        thread.name = Data("sh".utf8)
        thread.hasExited_p = true
        return thread
    }

    static func signal(_ number: UInt8) -> ImagePendingSignal {
        var signal = ImagePendingSignal()
        signal.info = Data([number] + [UInt8](repeating: 0, count: 127))
        return signal
    }

    /// Four private pages, of which three are saved, a file, and two pages of the object.
    static func space(_ id: UInt32) -> ImageAddressSpace {
        var space = ImageAddressSpace()
        space.id = id
        space.mappings = [
            mapping(regionStart, pages: 4, .anonymous), mapping(regionStart + 0x4000, pages: 1, .file),
            mapping(regionStart + 0x10000, pages: 2, .object),
        ]
        space.argumentStart = regionStart + 0x1008
        space.argumentEnd = regionStart + 0x1012
        space.runPage = [0x401, 0x403]
        space.runLength = [1, 2]
        return space
    }

    static func mapping(_ start: UInt64, pages: UInt64, _ kind: ImageMapping.Kind) -> ImageMapping {
        var mapping = ImageMapping()
        mapping.start = start
        mapping.end = start + pages * 4096
        mapping.protection = 3
        mapping.kind = kind
        switch kind {
        case .file: mapping.file.path = Data("/bin/sh".utf8)
        case .object:
            mapping.shared = true
            mapping.object = 1
        default: break
        }
        return mapping
    }

    static func table() -> ImageFileTable {
        var table = ImageFileTable()
        table.id = 1
        let numbers: [(UInt32, UInt32)] = [(0, 1), (1, 2), (3, 3), (4, 4)]
        table.descriptors = numbers.map { number, file in
            var descriptor = ImageDescriptor()
            descriptor.number = number
            descriptor.file = file
            return descriptor
        }
        return table
    }

    static func files() -> [ImageOpenFile] {
        let kinds: [ImageOpenFile.Kind] = [
            .outside, .path, .pipeEnd, .object, .event, .signal, .timer, .epoll,
        ]
        return kinds.enumerated().map { index, kind in
            var file = ImageOpenFile()
            file.id = UInt32(index + 1)
            file.kind = kind
            switch kind {
            case .path: file.identity.path = Data("/tmp/log".utf8)
            case .pipeEnd: file.pipe = 1
            case .object: file.object = 1
            case .event: file.event.count = 3
            case .signal: file.signal.mask = 1 << 9
            case .timer:
                file.timer.clock = 1
                file.timer.remaining = 5_000_000_000
            case .epoll:
                var registration = ImageRegistration()
                registration.number = 5
                registration.file = 5
                registration.events = 1
                file.epoll.registrations = [registration]
            default: file.description_p = Data("/dev/pts/3".utf8)
            }
            return file
        }
    }

    static func timer(_ id: UInt32, _ notify: ImagePosixTimer.Notify) -> ImagePosixTimer {
        var timer = ImagePosixTimer()
        timer.id = id
        timer.clock = notify == .thread ? ~11 << 3 | 6 : 1
        timer.notify = notify
        timer.signal = 14
        timer.thread = notify == .thread ? 11 : 0
        timer.remaining = 7
        return timer
    }

    static func semaphores() -> ImageSemaphoreSet {
        var set = ImageSemaphoreSet()
        set.id = 1
        set.number = 5
        set.key = 0x1234
        set.mode = 0o600
        set.values = [1, 2]
        return set
    }

    static func pipe() -> ImagePipe {
        var pipe = ImagePipe()
        pipe.id = 1
        pipe.capacity = 65536
        pipe.contents = [Data("in flight".utf8)]
        return pipe
    }

    static func object() -> ImageMemoryObject {
        var object = ImageMemoryObject()
        object.id = 1
        object.name = Data("/dev/zero".utf8)
        object.size = 8192
        object.runPage = [1]
        object.runLength = [1]
        return object
    }

    /// The sections of `records`, with pages that are easy to recognise.
    static func pages(_ owner: PageOwner, count: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: UInt8(owner.id), count: Int(count) * 4096)
        let arguments = Array("sh\0-c\0true\0".utf8)
        if owner.kind == .addressSpace { bytes.replaceSubrange(8..<8 + arguments.count, with: arguments) }
        return bytes
    }

    static func owners(_ records: ImageRecords) -> [(PageOwner, UInt64)] {
        records.addressSpaces.map { (PageOwner(.addressSpace, $0.id), $0.runLength.reduce(0, +)) }
            + records.memoryObjects.map { (PageOwner(.memoryObject, $0.id), $0.runLength.reduce(0, +)) }
    }

    /// Everything before the pages.
    static func metadata(_ records: ImageRecords, with encoder: inout ImageEncoder) throws -> [UInt8] {
        var bytes = encoder.start()
        bytes += try encoder.record(.header, id: 0, records.header)
        for one in records.processes { bytes += try encoder.record(.process, id: one.pid, one) }
        for one in records.threads { bytes += try encoder.record(.thread, id: one.tid, one) }
        for one in records.addressSpaces { bytes += try encoder.record(.addressSpace, id: one.id, one) }
        for one in records.fileTables { bytes += try encoder.record(.fileTable, id: one.id, one) }
        for one in records.openFiles { bytes += try encoder.record(.openFile, id: one.id, one) }
        for one in records.pipes { bytes += try encoder.record(.pipe, id: one.id, one) }
        for one in records.memoryObjects { bytes += try encoder.record(.memoryObject, id: one.id, one) }
        for one in records.semaphoreSets { bytes += try encoder.record(.semaphoreSet, id: one.id, one) }
        return bytes
    }

    static func section(_ owner: PageOwner, _ data: [UInt8], with encoder: inout ImageEncoder) throws
        -> [UInt8]
    {
        var description = ImagePageDescription()
        description.owner = owner.kind
        description.id = owner.id
        description.pages = UInt64(data.count / 4096)
        var bytes = try encoder.pagesBegin(description)
        bytes += data
        var summer = PageChecksummer()
        summer.add(data)
        return bytes + (try encoder.pagesEnd(checksums: summer.finish()))
    }

    static func image(_ records: ImageRecords = records()) throws -> [UInt8] {
        var encoder = ImageEncoder()
        var bytes = try metadata(records, with: &encoder)
        for (owner, count) in owners(records) where count > 0 {
            bytes += try section(owner, pages(owner, count: count), with: &encoder)
        }
        return bytes + (try encoder.tail())
    }
}

/// Both ways to read a whole image: metadata and every page checked.
func readFile(_ bytes: [UInt8]) throws(ImageError) -> CheckpointImage {
    let source = ByteSource(bytes)
    let image = try CheckpointImage(reading: source)
    for section in image.pageSections {
        if let bad = try section.damagedBlocks(in: source).first { throw ImageError(.pagesDamaged(at: bad)) }
    }
    return image
}

func readPipe(_ bytes: [UInt8], inPieces piece: Int = 65536) throws(ImageError) -> CheckpointImage {
    var reader = SequentialImageReader(DripSource(bytes, piece))
    let image = try reader.readMetadata()
    while try reader.nextSection() != nil {
        while !(try reader.readPages(upTo: 8192)).isEmpty {}
        _ = try reader.endSection()
    }
    try reader.requireEnd()
    return image
}

/// A pipe that gives a few bytes at a time.
struct DripSource: SequentialSource {
    var source: ByteSource
    let piece: Int

    init(_ bytes: [UInt8], _ piece: Int) {
        source = ByteSource(bytes)
        self.piece = piece
    }

    mutating func read(upTo count: Int) -> [UInt8] { source.read(upTo: min(count, piece)) }
}
