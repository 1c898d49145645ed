internal import CKernel
internal import Glibc
package import LinuxABI

/// A socket of another process, by a copy of its descriptor, or a new one to compare it with. Reading its options and addresses changes
/// nothing of it.
///
/// - Source: socket(7), getsockname(2), getpeername(2), pidfd_getfd(2).
package struct SocketHandle: ~Copyable {
    package let copy: Descriptor

    package init(of pid: Int32, descriptor: Int32) throws(SystemError) {
        copy = try Descriptor.open(task: pid).duplicate(remote: descriptor)
    }

    package init(owning copy: consuming Descriptor) { self.copy = copy }

    /// A socket as socket(2) makes it. No call on it waits.
    package init(new kind: Kind) throws(SystemError) {
        do throws(SystemError) {
            copy = try SocketCalls.make(UInt64(kind.family), UInt64(kind.type) | Socket.SOCK_NONBLOCK, UInt64(kind.number))
        } catch { throw SystemError(error.number, in: "socket(\(SocketLook.name(kind)))") }
    }

    /// What socket(2) is given.
    package struct Kind: Hashable, Sendable {
        package var family: UInt32
        package var type: UInt32
        package var number: UInt32

        package init(family: UInt32, type: UInt32, number: UInt32) {
            (self.family, self.type, self.number) = (family, type, number)
        }
    }

    package var kind: Kind {
        get throws(SystemError) {
            func word(_ option: Int32) throws(SystemError) -> UInt32 {
                guard let bytes = self.option(SocketOption.SOL_SOCKET, UInt32(option)), bytes.count == 4 else {
                    throw SystemError(ENOTSOCK, in: "getsockopt")
                }
                return (0..<4).reduce(0) { $0 | UInt32(bytes[$1]) << ($1 * 8) }
            }
            return Kind(family: try word(SO_DOMAIN), type: try word(SO_TYPE), number: (try? word(SO_PROTOCOL)) ?? 0)
        }
    }

    /// The value of an option; nil where the socket has no such option.
    package borrowing func option(_ level: UInt32, _ number: UInt32, upTo capacity: Int = 64) -> [UInt8]? {
        SocketCalls.option(UInt64(level), number, of: copy.number, upTo: capacity)
    }

    /// An option that is queried by what the value holds before the call: lists of one multicast group, for instance.
    package borrowing func option(_ level: UInt32, _ number: UInt32, asking question: [UInt8]) throws(SystemError) -> [UInt8] {
        var bytes = question
        let size = try read(level, number, into: &bytes)
        return Array(bytes.prefix(size))
    }

    /// An option of SOL_SOCKET that is a number of 4 bytes.
    package borrowing func number(_ option: UInt32) -> Int32? {
        guard let bytes = self.option(SocketOption.SOL_SOCKET, option), bytes.count == 4 else { return nil }
        return (0..<4).reduce(0) { $0 | Int32(bytes[$1]) << ($1 * 8) }
    }

    /// - Returns: how many bytes there are.
    package borrowing func read(_ level: UInt32, _ number: UInt32, into bytes: inout [UInt8]) throws(SystemError) -> Int {
        try SocketCalls.read(UInt64(level), number, of: copy.number, into: &bytes)
    }

    /// Sets an option of the copy, which is the socket of the program: what is set has to be set back.
    package borrowing func set(_ level: UInt32, _ number: UInt32, _ value: [UInt8]) throws(SystemError) {
        try SocketCalls.set(UInt64(level), number, of: copy.number, to: value)
    }

    /// bind(2), connect(2) of a new socket.
    package borrowing func bind(_ address: [UInt8]) throws(SystemError) { try SocketCalls.bind(copy.number, to: address) }
    package borrowing func connect(_ address: [UInt8]) throws(SystemError) { try SocketCalls.connect(copy.number, to: address) }

    /// Lets what was sent go out.
    @inline(never)
    package borrowing func pause() { _ = unsafe poll(nil, 0, 1) }

    /// Its own address with the family, as getsockname(2) gives it; nil: it cannot be asked.
    package borrowing func address() -> [UInt8]? { SocketCalls.address(of: copy.number) }
    /// That of what it is connected with; nil: it is not connected.
    package borrowing func peerAddress() -> [UInt8]? { SocketCalls.peerAddress(of: copy.number) }

    /// Instructions of the classic filter (SO_ATTACH_FILTER), 8 bytes each; empty: there is none.
    ///
    /// - Errors: `EACCES`: it is one of eBPF, which the kernel does not tell.
    @inline(never)
    package borrowing func filter() throws(SystemError) -> [UInt8] {
        // The kernel counts instructions, not bytes.
        func ask(_ bytes: inout [UInt8]) throws(SystemError) -> Int {
            var count = UInt32(bytes.count / 8)
            let result = unsafe bytes.withUnsafeMutableBytes { bytes in
                unsafe withUnsafeMutablePointer(to: &count) { count in
                    ckernel_syscall(
                        Int(SYS_getsockopt), Int(copy.number), Int(SocketOption.SOL_SOCKET), Int(SocketOptions.SO_GET_FILTER),
                        Int(bitPattern: bytes.baseAddress), Int(bitPattern: count), 0)
                }
            }
            _ = try SystemError.check(result, "getsockopt(SO_GET_FILTER)")
            return Int(count)
        }
        var none: [UInt8] = []
        let count = try ask(&none)
        if count == 0 { return [] }
        var bytes = [UInt8](repeating: 0, count: count * 8)
        let found = try ask(&bytes)
        return Array(bytes.prefix(found * 8))
    }

    /// Whether an error waits, or something in the error queue: POLLERR.
    package borrowing func hasError() -> Bool { SocketCalls.events(of: copy.number) & Int16(POLLERR) != 0 }

    /// Bytes that wait, of a datagram socket those of the first message.
    package borrowing func bytesWaiting() -> Int { (try? SocketCalls.count(Ioctl.SIOCINQ, of: copy.number)) ?? 0 }

    /// What it has sent and its peers have not yet received, in the kernel's measure.
    package borrowing func bytesSent() -> Int { (try? SocketCalls.count(Ioctl.SIOCOUTQ, of: copy.number)) ?? 0 }
}
