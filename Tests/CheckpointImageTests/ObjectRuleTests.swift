import CheckpointImage
import FoundationEssentials
import LinuxABI

/// Rules of kernel objects: eventfds, timerfds, epolls, POSIX timers, semaphore sets.
extension RuleTests {
    private static func watching(_ numbers: Int32..., mask: UInt32 = 2, path: String = "/d") -> ImageOpenFile {
        var file = ImageOpenFile()
        file.id = 20
        file.inotify.watches = numbers.map { number in
            var watch = ImageWatch()
            watch.number = number
            watch.mask = mask
            watch.file.path = Array(path.utf8).asData
            return watch
        }
        return file
    }

    /// Watch, mask, cookie and name of events that wait.
    private static func watching(_ number: Int32, events: [(Int32, UInt32, UInt32, String)]) -> ImageOpenFile {
        var file = watching(number)
        file.inotify.events = events.map { watch, mask, cookie, name in
            var event = ImageWaitingEvent()
            (event.watch, event.mask, event.cookie, event.name) = (watch, mask, cookie, Array(name.utf8).asData)
            return event
        }
        return file
    }

    private static func undo(_ thread: UInt32, _ adjustments: [Int32]) -> ImageSemaphoreUndo {
        var undo = ImageSemaphoreUndo()
        undo.thread = thread
        undo.adjustments = adjustments
        return undo
    }

    private static func notifying(_ process: UInt32, method: UInt32 = 0, signal: UInt32 = 10) -> ImageOpenFile {
        var file = queue("a")
        file.queue.notification.process = process
        file.queue.notification.method = method
        file.queue.notification.signal = signal
        return file
    }

    private static func connection(_ address: String, own: String = "", type: UInt32 = 1) -> ImageOpenFile {
        var file = ImageOpenFile()
        file.id = 20
        file.external.identifier = Array("socket:[5]".utf8).asData
        file.external.connection.type = type
        file.external.connection.address = Array(address.utf8).asData
        file.external.connection.own = Array(own.utf8).asData
        return file
    }

    private static func queue(_ name: String, most: UInt64 = 1) -> ImageOpenFile {
        var file = ImageOpenFile()
        file.id = 20
        file.queue.name = Array(name.utf8).asData
        file.queue.mostMessages = most
        file.queue.longestMessage = 1
        return file
    }

    private static func segment(_ id: UInt32, number: UInt32) -> ImageMemoryObject {
        var object = ImageMemoryObject()
        object.id = id
        object.size = 4096
        object.segment.number = number
        return object
    }

    private static func pidfd(of process: UInt32, thread: UInt32 = 0) -> ImageOpenFile {
        var file = ImageOpenFile()
        file.id = 20
        file.pid.process = process
        file.pid.thread = thread
        return file
    }

    private static func file(_ change: (inout ImageOpenFile) -> Void) -> ImageOpenFile {
        var file = ImageOpenFile()
        file.id = 30
        change(&file)
        return file
    }

    private static func option(_ level: UInt32, _ number: UInt32, _ size: Int) -> ImageInetOption {
        var option = ImageInetOption()
        (option.level, option.number, option.value) = (level, number, [UInt8](repeating: 1, count: size).asData)
        return option
    }

    /// A UDP socket that is made wrong.
    private static func inet(_ rule: ImageRule, _ change: @escaping @Sendable (inout ImageInetSocket) -> Void) -> Breach {
        Breach(rule, "open file 30") { records in
            var socket = ImageInetSocket()
            (socket.family, socket.type, socket.protocol) = (2, 2, 17)
            (socket.local.host, socket.local.port) = ([127, 0, 0, 1].asData, 53)
            change(&socket)
            records.openFiles.append(file { $0.inet = socket })
        }
    }

    /// A pair of sockets, of which the first is made wrong.
    private static func socket(_ rule: ImageRule, _ change: @escaping @Sendable (inout ImageUnixSocket) -> Void) -> Breach {
        Breach(rule, "open file 30") { records in
            for (id, peer) in [(UInt32(30), UInt32(31)), (31, 30)] {
                var file = ImageOpenFile()
                file.id = id
                var socket = ImageUnixSocket()
                socket.type = 1
                socket.peer = peer
                if id == 30 { change(&socket) }
                file.unix = socket
                records.openFiles.append(file)
            }
        }
    }

    private static func end(_ port: UInt8) -> [UInt8] { [2, 0, 0, port, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0] }

    /// Both ends of a TCP connection, with three bytes on the way, of which the first end is made wrong.
    private static func connection(_ rule: ImageRule, _ change: @escaping @Sendable (inout ImageTcpSocket) -> Void) -> Breach {
        Breach(rule, "open file 30") { records in
            for (id, peer) in [(UInt32(30), UInt32(31)), (31, 30)] {
                var file = ImageOpenFile()
                file.id = id
                var socket = ImageTcpSocket(state: 1)
                (socket.family, socket.peer) = (2, peer)
                (socket.address, socket.peerAddress) = (end(UInt8(id)).asData, end(UInt8(peer)).asData)
                socket.stream.segment = 1460
                if id == 30 {
                    socket.stream.sendQueue = [1, 2, 3].asData
                    (socket.stream.unacknowledged, socket.stream.sendSequence) = (3, 3)
                    change(&socket)
                }
                file.tcp = socket
                records.openFiles.append(file)
            }
        }
    }

    private static func message(_ bytes: [UInt8], files: Int = 0) -> ImageUnixMessage {
        var message = ImageUnixMessage()
        message.bytes = bytes.asData
        message.files = [UInt32](repeating: 30, count: files)
        return message
    }

    private static func lock(_ kind: ImageFileLock.Kind, start: UInt64 = 0, length: UInt64 = 0, file: UInt32 = 0) -> ImageFileLock {
        var lock = ImageFileLock()
        lock.kind = kind
        lock.start = start
        lock.length = length
        lock.file = file
        return lock
    }

    static let locks: [Breach] = [
        // Those of a table belong to no open file, and the other way round.
        Breach(.lockKind, "open file 2") { $0.openFiles[1].locks = [lock(.posix)] },
        Breach(.lockKind, "open file 2") { $0.openFiles[1].locks = [lock(.flock, file: 2)] },
        Breach(.lockKind, "a lock of open file 2") { $0.openFiles[1].locks = [lock(.UNRECOGNIZED(9))] },
        Breach(.lockKind, "file table 1") { $0.fileTables[0].locks = [lock(.openFile, file: 2)] },
        Breach(.lockRange, "a lock of open file 2") { $0.openFiles[1].locks = [lock(.flock, length: 5)] },
        Breach(.lockRange, "a lock of open file 2") { $0.openFiles[1].locks = [lock(.lease, start: 5)] },
        Breach(.lockRange, "a lock of open file 2") { $0.openFiles[1].locks = [lock(.openFile, start: 1 << 63)] },
        Breach(.lockRange, "a lock of open file 2") { $0.openFiles[1].locks = [lock(.openFile, start: 2, length: 1 << 63 - 2)] },
        // It can be a writer's only.
        Breach(.lockFile, "a lock of open file 2") { records in
            records.openFiles[1].locks = [lock(.openFile)]
            records.openFiles[1].locks[0].write = true
        },
        Breach(.lockFile, "open file 5") { $0.openFiles[4].locks = [lock(.flock)] },
        Breach(.lockFile, "open file 2") { records in
            records.openFiles[1].locks = [lock(.flock)]
            records.openFiles[1].flags = OpenFlag.O_PATH
        },
        Breach(.lockFile, "file table 1") { $0.fileTables[0].locks = [lock(.posix, file: 99)] },
        Breach(.externalName, "open file 20") { records in
            var file = ImageOpenFile()
            file.id = 20
            file.external.identifier = [UInt8]().asData
            records.openFiles.append(file)
        },
        Breach(.noPipe, "pipe 9 of open file 20") { records in
            var file = ImageOpenFile()
            file.id = 20
            file.fifo.pipe = 9
            file.fifo.identity.path = Array("/f".utf8).asData
            records.openFiles.append(file)
        },
        Breach(.pathMissing, "open file 20") { records in
            var file = ImageOpenFile()
            file.id = 20
            file.fifo.pipe = 1
            records.openFiles.append(file)
        },
    ]

    static let objects: [Breach] = [
        connection(.tcpState) { $0.state = 3 },
        connection(.tcpState) { $0.family = 1 },
        connection(.tcpState) { $0.backlog = 1 },
        connection(.tcpState) { $0.clearStream() },
        connection(.tcpAddress) { $0.address = [2, 0].asData },
        connection(.tcpAddress) { $0.peerAddress = [].asData },
        connection(.tcpStream) { $0.stream.unsent = 4 },
        connection(.tcpStream) { $0.stream.segment = 0 },
        connection(.tcpStream) { $0.stream.sendScale = 15 },
        connection(.tcpStream) { $0.stream.window.send = 1 },
        connection(.tcpStream) { $0.stream.sendQueue = [1].asData },
        connection(.tcpStream) { $0.stream.sendSequence = 99 },
        connection(.tcpPeer) { $0.peerAddress = end(7).asData },
        connection(.tcpPeer) { $0.peer = 30 },
        connection(.tcpPeer) { $0.peer = 5 },
        socket(.socketType) { $0.type = 3 },
        socket(.socketState) { $0.shutdown = 4 },
        socket(.socketState) { $0.listening = true },
        socket(.socketState) { $0.peerGone = true },
        socket(.socketState) { $0.waiting = [31] },
        socket(.socketName) { $0.address = [UInt8](repeating: 65, count: 109).asData },
        socket(.socketName) { $0.address = [65, 0].asData },
        socket(.socketName) { $0.name.directory = Array("/tmp".utf8).asData },
        socket(.pathRelative) {
            $0.address = [65].asData
            $0.name.directory = Array("tmp".utf8).asData
        },
        socket(.socketPeer) { $0.type = 5 },
        socket(.socketPeer) { $0.peer = 30 },
        socket(.socketPeer) { $0.peer = 5 },
        socket(.socketQueue) { $0.queue = [message([])] },
        socket(.socketQueue) { $0.queue = [message([1], files: 254)] },
        // Only a connection that waits has sent something before it was accepted, and without descriptors.
        socket(.socketQueue) { $0.early = [message([1])] },
        socket(.socketQueue) { $0.connector.process = 10 },
        Breach(.socketQueue, "open file 30") { records in
            var file = ImageOpenFile()
            file.id = 30
            file.unix.type = 5
            file.unix.queue = [message([1])]
            records.openFiles.append(file)
        },
        socket(.socketOption) { socket in
            var option = ImageSocketOption()
            option.number = 77
            option.value = [1, 0, 0, 0].asData
            socket.options = [option]
        },
        socket(.socketOption) { socket in
            var option = ImageSocketOption()
            option.number = 9
            option.value = [1].asData
            socket.options = [option]
        },
        inet(.networkSocket) { $0.family = 3 },
        inet(.networkSocket) { $0.protocol = 6 },
        inet(.networkSocket) { $0.type = 1 },
        inet(.networkAddress) { $0.local.host = [UInt8](repeating: 0, count: 16).asData },
        inet(.networkAddress) { $0.local.port = 65_536 },
        inet(.socketState) { $0.shutdown = 4 },
        inet(.socketState) { ($0.type, $0.bindOrder) = (3, 1) },
        inet(.networkAddress) { socket in
            var group = ImageMulticastGroup()
            group.group = [UInt8](repeating: 1, count: 16).asData
            group.device = Array("lo".utf8).asData
            socket.groups = [group]
        },
        inet(.socketQueue) { socket in
            var datagram = ImageInetDatagram()
            datagram.from = socket.local
            socket.queue = [datagram]
            socket.clearLocal()
        },
        inet(.socketOption) { $0.options = [option(SocketOption.SOL_IP, 1, 4), option(SocketOption.SOL_IP, 1, 4)] },
        inet(.socketOption) { $0.options = [option(SocketOption.SOL_IPV6, 26, 4)] },
        inet(.socketOption) { $0.options = [option(SocketOption.SOL_SOCKET, 13, 4)] },
        inet(.socketOption) { $0.options = [option(SocketOption.SOL_SOCKET, 26, 12)] },
        inet(.socketOption) { $0.options = [option(SocketOption.SOL_NETLINK, 3, 4)] },
        Breach(.networkSocket, "open file 30") { $0.openFiles.append(file { $0.packet.type = 1 }) },
        Breach(.networkAddress, "open file 30") { records in
            records.openFiles.append(
                file { file in
                    file.packet.type = 3
                    var one = ImagePacketMembership()
                    (one.device, one.count) = (Array("lo".utf8).asData, 0)
                    file.packet.memberships = [one]
                })
        },
        Breach(.networkSocket, "open file 30") { records in
            records.openFiles.append(file { ($0.netlink.type, $0.netlink.protocol) = (3, 32) })
        },
        Breach(.networkSocket, "open file 30") { records in
            records.openFiles.append(file { ($0.netlink.type, $0.netlink.groups) = (3, [1, 1]) })
        },
        Breach(.eventCount, "open file 5") { $0.openFiles[4].event.count = .max },
        Breach(.clock, "open file 7") { $0.openFiles[6].timer.clock = 2 },
        Breach(.timerFlags, "open file 7") { $0.openFiles[6].timer.flags = 4 },
        Breach(.timerRange, "open file 7") { $0.openFiles[6].timer.remaining = 1 << 63 },
        Breach(.timerRange, "open file 7") { $0.openFiles[6].timer.interval = .max },
        Breach(.descriptorRange, "open file 8") { $0.openFiles[7].epoll.registrations[0].number = 0x7fff_ffc0 },
        Breach(.noOpenFile, "open file 99 of open file 8") { $0.openFiles[7].epoll.registrations[0].file = 99 },
        Breach(.epollTwice, "open file 8") {
            $0.openFiles[7].epoll.registrations.append($0.openFiles[7].epoll.registrations[0])
        },
        // EPOLLEXCLUSIVE with EPOLLONESHOT.
        Breach(.epollEvents, "open file 8") { $0.openFiles[7].epoll.registrations[0].events = 3 << 28 | 1 << 30 },
        Breach(.epollLoop, "open file 8") { $0.openFiles[7].epoll.registrations[0].file = 8 },
        Breach(.epollLoop, "open file 8") { records in
            var other = records.openFiles[7]
            other.id = 20
            other.epoll.registrations[0].file = 8
            records.openFiles[7].epoll.registrations[0].file = 20
            records.openFiles.append(other)
        },
        Breach(.timerRange, "timer 2147483648 of process 10") { $0.processes[0].posixTimers[1].id = 1 << 31 },
        Breach(.timerRange, "timer 3 of process 10") { $0.processes[0].posixTimers[0].remaining = .max },
        Breach(.timerRange, "timer 3 of process 10") { $0.processes[0].posixTimers[0].interval = .max },
        Breach(.timerRange, "timer 3 of process 10") { $0.processes[0].posixTimers[0].overrun = .max },
        Breach(.duplicateID, "timer 3 of process 10") { $0.processes[0].posixTimers[1].id = 3 },
        Breach(.clock, "timer 3 of process 10") { $0.processes[0].posixTimers[0].clock = 2 },
        // CPU time of another process; the clock of a device.
        Breach(.clock, "timer 3 of process 10") { $0.processes[0].posixTimers[0].clock = ~12 << 3 | 2 },
        Breach(.clock, "timer 3 of process 10") { $0.processes[0].posixTimers[0].clock = ~4 << 3 | 3 },
        Breach(.notify, "timer 3 of process 10") { $0.processes[0].posixTimers[0].notify = .UNRECOGNIZED(9) },
        Breach(.signalRange, "timer 3 of process 10") { $0.processes[0].posixTimers[0].signal = 0 },
        Breach(.signalRange, "timer 7 of process 10") { $0.processes[0].posixTimers[1].signal = 65 },
        Breach(.noSuchThread, "timer 7 of process 10") { $0.processes[0].posixTimers[1].thread = 12 },
        Breach(.watchNumbers, "open file 20") { $0.openFiles.append(watching(2, 2)) },
        Breach(.watchNumbers, "open file 20") { $0.openFiles.append(watching(0)) },
        Breach(.watchMask, "open file 20") { $0.openFiles.append(watching(1, mask: 1 << 25)) },
        Breach(.pathRelative, "open file 20") { $0.openFiles.append(watching(1, path: "d")) },
        // Two kinds at once; a name with a slash; the second half of a rename; a removed file that is still watched; two overflows.
        Breach(.watchEvents, "open file 20") { $0.openFiles.append(watching(1, events: [(1, 0x3, 0, "")])) },
        Breach(.watchEvents, "open file 20") { $0.openFiles.append(watching(1, events: [(1, 0x100, 0, "a/b")])) },
        Breach(.watchEvents, "open file 20") { $0.openFiles.append(watching(1, events: [(1, 0x80, 5, "a")])) },
        Breach(.watchEvents, "open file 20") { $0.openFiles.append(watching(1, events: [(1, 0x400, 0, "")])) },
        Breach(.watchEvents, "open file 20") { $0.openFiles.append(watching(1, events: [(-1, 0x4000, 0, ""), (-1, 0x4000, 0, "")])) },
        Breach(.noOpenFile, "open file 99 of open file 20") { records in
            var file = watching(1)
            file.inotify.watches[0].openFile = 99
            records.openFiles.append(file)
        },
        Breach(.pidFileTask, "open file 20") { $0.openFiles.append(pidfd(of: 77)) },
        Breach(.queueName, "open file 20") { $0.openFiles.append(queue("a/b")) },
        Breach(.queueRange, "open file 20") { $0.openFiles.append(queue("a", most: 0)) },
        Breach(.segmentRange, "memory object 30") { $0.memoryObjects.append(segment(30, number: 1 << 31)) },
        Breach(.segmentTwice, "memory object 31") { $0.memoryObjects += [segment(30, number: 1), segment(31, number: 1)] },
        Breach(.pidFileTask, "open file 20") { $0.openFiles.append(pidfd(of: 10, thread: 77)) },
        Breach(.semaphoreRange, "semaphore set 1") { $0.semaphoreSets[0].number = 1 << 31 },
        Breach(.semaphoreRange, "semaphore set 1") { $0.semaphoreSets[0].mode = 0o1000 },
        Breach(.semaphoreRange, "semaphore set 1") { $0.semaphoreSets[0].values = [] },
        Breach(.semaphoreRange, "semaphore set 1") { $0.semaphoreSets[0].values[1] = 32768 },
        Breach(.semaphoreRange, "semaphore set 1") { $0.semaphoreSets[0].undo = [undo(77, $0.semaphoreSets[0].values.map { _ in 1 })] },
        Breach(.semaphoreRange, "semaphore set 1") { $0.semaphoreSets[0].undo = [undo(10, [1])] },
        Breach(.semaphoreRange, "semaphore set 1") { $0.semaphoreSets[0].undo = [undo(10, $0.semaphoreSets[0].values.map { _ in 32768 })] },
        Breach(.semaphoreTwice, "semaphore set 1") { records in
            records.semaphoreSets[0].undo = [1, 2].map { change in undo(10, records.semaphoreSets[0].values.map { _ in change }) }
        },
        Breach(.queueRange, "open file 20") { records in
            var file = queue("a")
            file.queue.contents = [ImageQueueMessage()]
            records.openFiles.append(file)
        },
        Breach(.queueNotification, "open file 20") { $0.openFiles.append(notifying(77)) },
        Breach(.queueNotification, "open file 20") { $0.openFiles.append(notifying(10, signal: 65)) },
        Breach(.queueNotification, "open file 20") { $0.openFiles.append(notifying(10, method: 2)) },
        Breach(.queueNotification, "open file 20") { $0.openFiles.append(notifying(10, method: 4)) },
        Breach(.socketName, "open file 20") { $0.openFiles.append(connection("relative")) },
        Breach(.socketName, "open file 20") { $0.openFiles.append(connection("/run/x", own: "/run/y")) },
        Breach(.socketType, "open file 20") { $0.openFiles.append(connection("/run/x", type: 3)) },
        Breach(.semaphoreTwice, "semaphore set 2") { records in
            var other = records.semaphoreSets[0]
            other.id = 2
            records.semaphoreSets.append(other)
        },
        Breach(.semaphoreTwice, "semaphore set 2") { records in
            var other = records.semaphoreSets[0]
            other.id = 2
            other.number = 6
            records.semaphoreSets.append(other)
        },
        Breach(.messageRange, "message queue 1") { records in
            records.messageQueues = [Sample.messages()]
            records.messageQueues[0].messages[0].type = 0
        },
        Breach(.messageRange, "message queue 1") { records in
            records.messageQueues = [Sample.messages()]
            records.messageQueues[0].limit = 1 << 31
        },
        Breach(.messageTwice, "message queue 2") { records in
            records.messageQueues = [Sample.messages(), Sample.messages()]
            records.messageQueues[1].id = 2
        },
        Breach(.zeroID, "semaphore set") { $0.semaphoreSets[0].id = 0 },
        Breach(.lockName, "the lock of connections") { $0.header.lock.id = "0123456789abcde; flush" },
        Breach(.lockName, "the lock of connections") { $0.header.lock.id = "0123456789ABCDEF" },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[0].path = path("m")
        },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[0].path = path("/m/../../etc")
        },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[0].path = path("/m//n")
        },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[0].path = path("/m\0")
        },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[0].hierarchy = "a/b"
        },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[1].hierarchy = "memory"
        },
        Breach(.noCgroups, "process 10") {
            Sample.addCgroups(to: &$0)
            $0.processes[0].cgroupSet = 3
        },
        Breach(.noCgroups, "thread 11 of process 10") {
            Sample.addCgroups(to: &$0)
            $0.threads[1].cgroupSet = 3
        },
    ]

    private static func path(_ text: String) -> Data { Data(text.utf8) }
}
