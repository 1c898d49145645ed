internal import CKernel
internal import Glibc
internal import LinuxABI

/// Looks into a TCP connection in repair mode within one system call: no other call on the connection comes in between, and SIGKILL takes
/// effect behind it. While the caller is the tracer of the program, the program stands still until it is over.
///
/// Requests of an io_uring that do not wait are made in order by io_uring_enter(2) itself.
///
/// - Source: io_uring(7); io_uring/cmd_net.c, SOCKET_URING_OP_SETSOCKOPT: Linux 6.7.
final class SocketRing {
    private var ring = ckernel_ring()
    /// What the calls point to, in the order of ``Value``. It does not move.
    private let values: UnsafeMutablePointer<UInt32>

    private enum Value: Int, CaseIterable { case noOffset, on, queue, off, reuse, offset }

    /// - Errors: whatever tells that this kernel, or the administrator (`kernel.io_uring_disabled`), does not have it.
    init() throws(SystemError) {
        let values = UnsafeMutablePointer<UInt32>.allocate(capacity: Value.allCases.count)
        unsafe self.values = unsafe values
        unsafe values.initialize(repeating: 0, count: Value.allCases.count)
        // From here on the end of the object closes it.
        try FaultPoint.setupRing.pass("io_uring_setup")
        _ = try SystemError.check(Int(unsafe ckernel_ring_open(&ring)), "io_uring_setup")
        // Kernels before 6.7 have rings, but not this call of them.
        let probe = try SocketCalls.make(TCP.AF_INET, UInt64(Socket.SOCK_STREAM), TCP.IPPROTO_TCP)
        var nothing: [UInt8] = []
        _ = try peek(probe.number, TCP.TCP_SEND_QUEUE, into: &nothing, count: 0, reuse: 0)
    }

    deinit {
        unsafe ckernel_ring_close(&ring)
        unsafe values.deallocate()
    }

    /// Enters repair mode, chooses a queue, copies up to `count` bytes of it, and leaves. The queue stays chosen: TCP_QUEUE_SEQ tells
    /// its sequence number from then on.
    ///
    /// - Parameters:
    ///   - reuse: SO_REUSEADDR of the socket, which the end of repair mode takes away.
    ///   - offset: SO_PEEK_OFF of the socket, which is off meanwhile; nil: it is off.
    /// - Preconditions: CAP_NET_ADMIN; the socket does not listen.
    /// - Returns: how many bytes were copied.
    @inline(never)
    func peek(
        _ number: Int32, _ queue: UInt32, into room: inout [UInt8], count: Int, reuse: UInt32, offset: UInt32? = nil
    ) throws(SystemError) -> Int {
        let count = min(count, room.count)
        unsafe values[Value.noOffset.rawValue] = .max
        unsafe values[Value.on.rawValue] = 1
        unsafe values[Value.queue.rawValue] = queue
        unsafe values[Value.off.rawValue] = TCP.TCP_REPAIR_OFF_NO_WP
        unsafe values[Value.reuse.rawValue] = reuse
        unsafe values[Value.offset.rawValue] = offset ?? .max
        // The buffers outlive the call: nothing is under way when it returns.
        let (error, results) = unsafe room.withUnsafeMutableBytes { room in
            var list: [ckernel_ring_call] = []
            func set(_ level: UInt64, _ option: UInt32, _ value: Value) {
                unsafe list.append(
                    ckernel_ring_call(level: UInt32(level), option: option, memory: values + value.rawValue, size: 4, result: 0))
            }
            if offset != nil { set(Socket.SOL_SOCKET, SocketOptions.SO_PEEK_OFF, .noOffset) }
            set(TCP.IPPROTO_TCP, TCP.TCP_REPAIR, .on)
            set(TCP.IPPROTO_TCP, TCP.TCP_REPAIR_QUEUE, .queue)
            if count > 0 {
                let flags = UInt32(Socket.MSG_PEEK | Socket.MSG_DONTWAIT)
                unsafe list.append(ckernel_ring_call(level: 0, option: flags, memory: room.baseAddress, size: UInt32(count), result: 0))
            }
            set(TCP.IPPROTO_TCP, TCP.TCP_REPAIR, .off)
            if reuse != 0 { set(Socket.SOL_SOCKET, SocketOptions.SO_REUSEADDR, .reuse) }
            if offset != nil { set(Socket.SOL_SOCKET, SocketOptions.SO_PEEK_OFF, .offset) }
            let error = unsafe ckernel_ring_run(&ring, number, &list, UInt32(list.count))
            return unsafe (error, list.map { (isSet: $0.level != 0, result: $0.result) })
        }
        if error != 0 || results.contains(where: { $0.result == .min }) {
            // The kernel had no memory for a request: what was begun is ended by ordinary calls.
            try? SocketCalls.set(TCP.IPPROTO_TCP, TCP.TCP_REPAIR, of: number, to: TCP.TCP_REPAIR_OFF_NO_WP)
            if reuse != 0 { try? SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_REUSEADDR, of: number, to: reuse) }
            if let offset { try? SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_PEEK_OFF, of: number, to: offset) }
            throw SystemError(error < 0 ? -error : EAGAIN, in: "io_uring_enter")
        }
        for one in results where one.isSet { _ = try SystemError.check(Int(one.result), "setsockopt(TCP_REPAIR)") }
        guard let copied = results.first(where: { !$0.isSet })?.result else { return 0 }
        return try SystemError.check(Int(copied), "recv(TCP_REPAIR)")
    }
}
