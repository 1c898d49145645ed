import CheckpointImage
import FoundationEssentials
import SwiftProtobuf

/// A small tree: a shell with a helper thread, a child that shares its file table, a zombie.
enum Sample {
    static let regionStart: UInt64 = 0x40_0000

    static func records() -> ImageRecords {
        var records = ImageRecords()
        records.header = header()
        records.processes = [process(10, parent: 0), process(12, parent: 10), zombie()]
        records.threads = [thread(10, of: 10), thread(11, of: 10), thread(12, of: 12, own: 2)]
        records.addressSpaces = [space(1), space(2)]
        records.fileTables = [table()]
        records.openFiles = files()
        records.pipes = [pipe(), fifo()]
        records.memoryObjects = [object()]
        records.processes[0].posixTimers = [timer(3, .signal), timer(7, .thread)]
        records.semaphoreSets = [semaphores()]
        records.directories = [directories(1), directories(2)]
        records.signalActions = [actions(1), actions(2)]
        records.namespaces = [surrounding()]
        records.terminals = [terminal()]
        return records
    }

    static func header() -> ImageHeader {
        var header = ImageHeader()
        header.formatVersion = ImageFormat.version
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

    static func process(_ pid: UInt32, parent: UInt32) -> ImageProcess {
        var process = ImageProcess()
        process.pid = pid
        process.parent = parent
        process.group = 10
        process.session = 10
        process.exitSignal = 17
        process.executable.path = Data("/bin/sh".utf8)
        process.command = Data("sh".utf8)
        process.pidNamespace = 1
        return process
    }

    static func directories(_ id: UInt32, root: String = "/") -> ImageDirectories {
        var directories = ImageDirectories()
        directories.id = id
        directories.working.path = Data("/tmp".utf8)
        directories.root.path = Data(root.utf8)
        directories.umask = 0o022
        return directories
    }

    static func actions(_ id: UInt32) -> ImageSignalActions {
        var action = ImageSignalAction()
        action.signal = 15
        action.handler = 0x40_1000
        var actions = ImageSignalActions()
        actions.id = id
        actions.actions = [action]
        return actions
    }

    static func namespace(_ id: UInt32, _ kind: ImageNamespace.Kind, parent: UInt32 = 0) -> ImageNamespace {
        var namespace = ImageNamespace()
        namespace.id = id
        namespace.kind = kind
        namespace.parent = parent
        return namespace
    }

    /// The pid namespace that every tree is in.
    static func surrounding() -> ImageNamespace {
        var namespace = namespace(1, .pid)
        namespace.isSurrounding = true
        return namespace
    }

    static func zombie() -> ImageProcess {
        var process = ImageProcess()
        process.pid = 13
        process.parent = 12
        process.group = 10
        process.session = 10
        process.state = .zombie
        process.pidNamespace = 1
        process.exitStatus = 9
        process.command = Data("true".utf8)
        return process
    }

    /// - Parameter own: id of its memory, directories and signal actions. All have the one file table.
    static func thread(_ tid: UInt32, of pid: UInt32, own: UInt32 = 1) -> ImageThread {
        var thread = share(ImageThread(), own: own)
        thread.tid = tid
        thread.process = pid
        thread.name = Data("sh".utf8)
        var record = ImageCpuRecord()
        record.body = Data([1, 2, 3])
        thread.cpu = [record]
        thread.pending = [signal(10)]
        return thread
    }

    static func exitedThread(_ tid: UInt32, of pid: UInt32, own: UInt32 = 1) -> ImageThread {
        var thread = share(ImageThread(), own: own)
        thread.tid = tid
        thread.process = pid
        thread.name = Data("sh".utf8)
        thread.hasExited_p = true
        return thread
    }

    private static func share(_ thread: ImageThread, own: UInt32) -> ImageThread {
        var thread = thread
        thread.addressSpace = own
        thread.fileTable = 1
        thread.directories = own
        thread.actions = own
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

    static func terminal() -> ImageTerminal {
        var terminal = ImageTerminal()
        terminal.id = 1
        terminal.number = 4
        terminal.input = Data("ls\nkeys".utf8)
        terminal.output = Data("shown".utf8)
        (terminal.session, terminal.mode) = (10, 0o620)
        return terminal
    }

    /// One of each kind; file N is number N of these.
    static func files() -> [ImageOpenFile] {
        var outside = ImageOutsideFile()
        outside.description_p = Data("/dev/pts/3".utf8)
        var named = ImageNamedFile()
        named.identity.path = Data("/tmp/log".utf8)
        var end = ImagePipeEnd()
        end.pipe = 1
        var nameless = ImageNamelessFile()
        nameless.object = 1
        var event = ImageEventFile()
        event.count = 3
        var signal = ImageSignalFile()
        signal.mask = 1 << 9
        var timer = ImageTimerFile()
        timer.clock = 1
        timer.remaining = 5_000_000_000
        var registration = ImageRegistration()
        registration.number = 5
        registration.file = 5
        registration.events = 1
        var epoll = ImageEpoll()
        epoll.registrations = [registration]
        var device = ImageDeviceFile()
        device.identity.path = Data("/dev/null".utf8)
        var proc = ImageProcFile()
        proc.process = 10
        proc.name = Data("maps".utf8)
        var message = ImageUnixMessage()
        message.bytes = Data("hello".utf8)
        var socket = ImageUnixSocket()
        socket.type = 5
        socket.peerGone = true
        socket.shutdown = 3
        socket.queue = [message]
        var master = ImageTerminalEnd()
        (master.terminal, master.master) = (1, true)
        var watch = ImageWatch()
        watch.number = 1
        watch.mask = 2
        watch.file.path = Data("/etc".utf8)
        var inotify = ImageInotify()
        inotify.watches = [watch]
        var pid = ImagePidFile()
        pid.process = 10
        var queue = ImageQueueFile()
        queue.name = Data("jobs".utf8)
        queue.mostMessages = 10
        queue.longestMessage = 100
        var fifo = ImageFifoEnd()
        fifo.pipe = 2
        fifo.identity.path = Data("/tmp/fifo".utf8)
        var tcp = ImageTcpSocket(state: 10)
        (tcp.family, tcp.backlog, tcp.listenOrder) = (2, 5, 1)
        tcp.address = Data([2, 0, 0, 80, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
        var external = ImageExternalFile()
        external.identifier = Data("pipe:[77]".utf8)
        var inet = ImageInetSocket()
        (inet.family, inet.type, inet.protocol) = (2, 2, 17)
        inet.local.host = Data([127, 0, 0, 1])
        inet.local.port = 53
        var packet = ImagePacketSocket()
        (packet.type, packet.protocol) = (3, 0x800)
        var netlink = ImageNetlinkSocket()
        (netlink.type, netlink.port, netlink.groups) = (3, 10, [1])
        let objects: [ImageOpenFile.OneOf_Object] = [
            .outside(outside), .named(named), .pipeEnd(end), .nameless(nameless), .event(event), .signal(signal), .timer(timer),
            .epoll(epoll), .device(device), .proc(proc), .unix(socket), .terminal(master), .inotify(inotify), .pid(pid),
            .queue(queue), .fifo(fifo), .external(external), .tcp(tcp), .inet(inet), .packet(packet), .netlink(netlink),
        ]
        return objects.enumerated().map { index, object in
            var file = ImageOpenFile()
            // The tests of rules make files 20 and 30.
            file.id = UInt32(index < 17 ? index + 1 : index + 23)
            file.object = object
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

    static func messages() -> ImageMessageQueue {
        var message = ImageQueuedMessage()
        message.type = 7
        message.text = Data("text".utf8)
        var queue = ImageMessageQueue()
        queue.id = 1
        queue.number = 3
        queue.key = 0x77
        queue.limit = 16384
        queue.messages = [message]
        return queue
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

    /// What waits in the FIFO.
    static func fifo() -> ImagePipe {
        var pipe = pipe()
        pipe.id = 2
        pipe.contents = [Data("xx".utf8)]
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
}
