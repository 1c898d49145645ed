internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// Lets the TCP connections of a tree go on: right before the point of no return. Until then they are in repair mode, so that a restart
/// that fails leaves nothing on the wire.
struct TCPStarter {
    private let all: [TCPStarting]
    /// By tid of the image: as seen from here.
    private var hosts: [UInt32: Int32] = [:]

    init(_ tree: borrowing ForkedTree) {
        all = TCPStarting.all(in: tree.plan.valid.image)
        if all.isEmpty { return }
        for (index, task) in tree.plan.tasks.enumerated() { hosts[task.tid] = tree.hostPids[index] }
    }

    /// - Preconditions: the tasks stand still, and have their descriptors.
    func run() throws(RestoreError) {
        // Both ends of a connection are there before one of them says anything: this takes descriptors, some at a time.
        try forEach { one, number throws(SystemError) in
            guard one.connects.isEmpty else { return }
            if one.isClosed { try close(one, number) }
            try SocketCalls.set(TCP.IPPROTO_TCP, TCP.TCP_REPAIR, of: number, to: one.start.endOfRepair)
            if one.reusesAddress { try SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_REUSEADDR, of: number, to: 1) }
        }
        // A packet to itself comes at once or, where a filter drops it, never.
        var arrives = true
        try forEach { one, number throws(SystemError) in
            if one.start.sentEndBefore { try start(one, number) }
            if one.start.receivesEnd {
                if arrives, one.packet != nil { arrives = (try? deliver(one, number, within: 50_000_000)) ?? false }
                // A program sees the same: after what waits comes the end.
                if !arrives || one.packet == nil { try SocketCalls.shutdown(number, Socket.SHUT_RD) }
            }
            if !one.start.sentEndBefore { try start(one, number) }
        }
    }

    private func forEach(_ body: (TCPStarting, Int32) throws(SystemError) -> Void) throws(RestoreError) {
        for one in all {
            do throws(SystemError) {
                guard let host = hosts[one.task] else { throw SystemError(Errno.ESRCH, in: "pidfd_open") }
                let copy = try Descriptor.open(task: host).duplicate(remote: Int32(bitPattern: one.number))
                try body(one, copy.number)
            } catch { throw RestoreError(cannot: "let the \(one.summary) go on", error) }
        }
    }

    private func start(_ one: TCPStarting, _ number: Int32) throws(SystemError) {
        if !one.connects.isEmpty { return try connect(one, number) }
        if !one.start.unsent.isEmpty { try send(one.start.unsent, number) }
        if one.start.sendsEnd { try SocketCalls.shutdown(number, Socket.SHUT_WR) }
    }

    /// The kernel takes what waited before, whatever the program has limited meanwhile.
    private func send(_ bytes: [UInt8], _ number: Int32) throws(SystemError) {
        let size = try SocketCalls.word(Socket.SOL_SOCKET, SocketOptions.SO_SNDBUF, of: number)
        let lock = try SocketCalls.word(Socket.SOL_SOCKET, SocketOptions.SO_BUF_LOCK, of: number)
        let mark = try SocketCalls.word(TCP.IPPROTO_TCP, Self.notSentLowWater, of: number)
        try SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_SNDBUFFORCE, of: number, to: UInt32(clamping: max(bytes.count * 2, 1 << 20)))
        if mark != 0 { try SocketCalls.set(TCP.IPPROTO_TCP, Self.notSentLowWater, of: number, to: .max) }
        var place = 0
        while place < bytes.count { place += try SocketCalls.send(bytes[place...], on: number) }
        if mark != 0 { try SocketCalls.set(TCP.IPPROTO_TCP, Self.notSentLowWater, of: number, to: mark) }
        try SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_SNDBUFFORCE, of: number, to: size / 2)
        try SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_BUF_LOCK, of: number, to: lock)
    }

    /// `TCP_NOTSENT_LOWAT`
    private static let notSentLowWater: UInt32 = 25

    /// Sends the packet that closes it, and waits until it has come: a second at most.
    private func close(_ one: TCPStarting, _ number: Int32) throws(SystemError) {
        guard try deliver(one, number, within: 1_000_000_000) else {
            throw SystemError(Errno.ETIMEDOUT, in: "a packet to itself: a filter of packets may have dropped it")
        }
        // Reading the error clears it.
        if !one.failed { _ = try SocketCalls.word(Socket.SOL_SOCKET, Self.pendingError, of: number) }
    }

    /// Sends a packet in the name of the other end, which changes the state of the socket.
    ///
    /// - Returns: whether it has come.
    private func deliver(_ one: TCPStarting, _ number: Int32, within nanoseconds: Int64) throws(SystemError) -> Bool {
        guard let packet = one.packet else { return true }
        let before = try state(number)
        let family = packet.destination.count < 28 ? TCP.AF_INET : TCP.AF_INET6
        let raw = try SocketCalls.make(family, UInt64(Socket.SOCK_RAW), UInt64(Socket.IPPROTO_RAW))
        let deadline = SystemClock.monotonic.now() + nanoseconds
        // It can be lost like any other: once more, a few times.
        while SystemClock.monotonic.now() < deadline {
            _ = try SocketCalls.send(packet.bytes[...], to: packet.destination, on: raw.number)
            let next = SystemClock.monotonic.now() + nanoseconds / 5
            while SystemClock.monotonic.now() < next {
                if try state(number) != before { return true }
                Waiting.pause(atMost: 100_000)
            }
        }
        return false
    }

    /// `SO_ERROR`
    private static let pendingError: UInt32 = 4

    private func state(_ number: Int32) throws(SystemError) -> UInt8? {
        SocketCalls.option(TCP.IPPROTO_TCP, TCP.TCP_INFO, of: number, upTo: 8)?.first
    }

    private func connect(_ one: TCPStarting, _ number: Int32) throws(SystemError) {
        let flags = try DescriptorTable.flags(of: number)
        try DescriptorTable.set(number, statusFlags: flags | OpenFlag.O_NONBLOCK)
        defer { try? DescriptorTable.set(number, statusFlags: flags) }
        do throws(SystemError) { try SocketCalls.connect(number, to: one.connects) } catch { if error.name != "EINPROGRESS" { throw error } }
    }
}
