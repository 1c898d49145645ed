internal import CKernel
internal import Glibc
internal import LinuxABI

/// Looks into a unix socket of another process by a copy of its descriptor, without taking anything out of it.
///
/// - Source: unix(7), recv(2) (`MSG_PEEK`), socket(7) (`SO_PEEK_OFF`).
package struct UnixSocketLook: ~Copyable {
    package let copy: Descriptor

    /// Something that waits to be received.
    package struct Message: Sendable, Equatable {
        package var bytes: [UInt8]
        /// Descriptors of this process, which lead to the files that come with it. The caller closes them.
        package var files: [Int32] = []
        /// Of the sender, where the socket has SO_PASSCRED: pid, uid, gid.
        package var sender: Credentials?
        /// The address of the sender, without the family.
        package var from: [UInt8] = []
    }

    package struct Credentials: Sendable, Equatable {
        package var pid: UInt32
        package var user: UInt32
        package var group: UInt32
    }

    package init(of pid: Int32, descriptor: Int32) throws(SystemError) {
        copy = try Descriptor.open(task: pid).duplicate(remote: descriptor)
    }

    /// A socket of this type as socket(2) makes it.
    @inline(never)
    package init(newOfType type: UInt32) throws(SystemError) {
        let made = ckernel_syscall(Int(SYS_socket), Int(AF_UNIX), Int(type) | Int(O_CLOEXEC), 0, 0, 0, 0)
        copy = Descriptor(owning: Int32(try SystemError.check(made, "socket")))
    }

    package var type: UInt32 { option(UInt32(SO_TYPE)).map { UInt32(truncatingIfNeeded: $0.word) } ?? 0 }

    /// The value of an option of level SOL_SOCKET; nil where the kernel does not know it.
    package borrowing func option(_ option: UInt32) -> [UInt8]? { Self.option(option, of: copy.number) }

    @inline(never)
    private static func option(_ option: UInt32, of number: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 64)
        var size = UInt32(bytes.count)
        // Both outlive the call.
        let result = unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe withUnsafeMutablePointer(to: &size) { size in
                ckernel_syscall(
                    Int(SYS_getsockopt), Int(number), Int(SOL_SOCKET), Int(option), Int(bitPattern: bytes.baseAddress), Int(bitPattern: size), 0)
            }
        }
        return result == 0 ? Array(bytes.prefix(Int(size))) : nil
    }

    /// A program can have attached a filter of packets. Source: SO_GET_FILTER counts its instructions.
    @inline(never)
    package borrowing func hasFilter() -> Bool {
        var size = UInt32(0)
        let result = unsafe withUnsafeMutablePointer(to: &size) { size in
            ckernel_syscall(
                Int(SYS_getsockopt), Int(copy.number), Int(SOL_SOCKET), Int(SocketOptions.SO_GET_FILTER), 0, Int(bitPattern: size), 0)
        }
        return result != 0 || size != 0
    }

    /// Of the process to which it was connected, or which has called listen(2): SO_PEERCRED.
    package borrowing func peerCredentials() -> Credentials? {
        guard let bytes = option(SocketOptions.SO_PEERCRED), bytes.count >= 12 else { return nil }
        let one = Credentials(pid: bytes.word(at: 0), user: bytes.word(at: 4), group: bytes.word(at: 8))
        return one.user == .max ? nil : one
    }

    /// The number of the process at its other end, as a process of another pid namespace sees it. That can have ended: the kernel keeps
    /// its numbers in all namespaces.
    ///
    /// - Returns: nil: it cannot be asked.
    package borrowing func peerNumber(seenBy process: Int32) -> UInt32? {
        guard let namespace = try? Descriptor.open("/proc/\(process)/ns/pid") else { return nil }
        let (socket, number) = (copy.number, namespace.number)
        let deadline = SystemClock.monotonic.now() + 2_000_000_000
        // A process does not change its own pid namespace, only that of its children.
        let child = try? ForkedQuestion(at: .forkCheck) {
            guard ckernel_syscall(Int(SYS_setns), Int(number), Int(CloneFlag.CLONE_NEWPID), 0, 0, 0, 0) == 0,
                let inner = try? ForkedQuestion(at: .forkCheck, { Self.option(SocketOptions.SO_PEERCRED, of: socket) ?? [0] }),
                case .bytes(let bytes) = inner.answer(until: deadline)
            else { return [0] }
            return bytes
        }
        guard case .bytes(let bytes)? = child?.answer(until: deadline), bytes.count >= 12 else { return nil }
        return bytes.word
    }

    /// Its own address, without the family; nil where it cannot be asked.
    package borrowing func address() -> [UInt8] { Self.address(of: copy.number, Int(SYS_getsockname)) ?? [] }
    package borrowing func peerAddress() -> [UInt8]? { Self.address(of: copy.number, Int(SYS_getpeername)) }

    @inline(never)
    private static func address(of number: Int32, _ call: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 128)
        var size = UInt32(bytes.count)
        let result = unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe withUnsafeMutablePointer(to: &size) { size in
                ckernel_syscall(call, Int(number), Int(bitPattern: bytes.baseAddress), Int(bitPattern: size), 0, 0, 0)
            }
        }
        return result == 0 ? trimmed(bytes, Int(size)) : nil
    }

    /// Without the family, and without the zero byte behind a path.
    static func trimmed(_ address: [UInt8], _ size: Int) -> [UInt8] {
        let name = Array(address.prefix(size).dropFirst(2))
        if name.isEmpty || name[0] == 0 { return name }
        return Array(name.prefix { $0 != 0 })
    }

    /// Whether an error waits, or another descriptor would see one: POLLERR.
    @inline(never)
    package borrowing func hasError() -> Bool {
        var look = pollfd(fd: copy.number, events: 0, revents: 0)
        _ = unsafe poll(&look, 1, 0)
        return look.revents & Int16(POLLERR) != 0
    }

    /// Bytes that wait, of a datagram socket those of the first message.
    @inline(never)
    package borrowing func bytesWaiting() -> Int { count(Ioctl.SIOCINQ) }

    /// What it has sent and its peers have not yet received, in the kernel's measure.
    package borrowing func bytesSent() -> Int { count(Ioctl.SIOCOUTQ) }

    /// A byte of urgent data (MSG_OOB) waits.
    @inline(never)
    package borrowing func hasUrgentData() -> Bool {
        var byte: UInt8 = 0
        let result = unsafe withUnsafeMutablePointer(to: &byte) { byte in
            ckernel_syscall(Int(SYS_recvfrom), Int(copy.number), Int(bitPattern: byte), 1, Int(Socket.MSG_OOB | Socket.MSG_PEEK | Socket.MSG_DONTWAIT), 0, 0)
        }
        return result == 1
    }

    @inline(never)
    private borrowing func count(_ request: UInt64) -> Int {
        var value: Int32 = 0
        let result = unsafe withUnsafeMutablePointer(to: &value) { value in
            ckernel_syscall(Int(SYS_ioctl), Int(copy.number), Int(request), Int(bitPattern: value), 0, 0, 0)
        }
        return result == 0 ? Int(value) : 0
    }

    /// The path of the file that its name was made as, and whether the name leads there no more; nil: it has no path.
    ///
    /// - Source: unix(7), SIOCUNIXFILE wants CAP_NET_ADMIN.
    @inline(never)
    package borrowing func file() throws(SystemError) -> (link: [UInt8], status: FileStatus) {
        let result = ckernel_syscall(Int(SYS_ioctl), Int(copy.number), Int(Ioctl.SIOCUNIXFILE), 0, 0, 0, 0)
        let file = Descriptor(owning: Int32(try SystemError.check(result, "ioctl(SIOCUNIXFILE)")))
        return (try readLink("/proc/self/fd/\(file.number)"), try FileStatus(ofDescriptor: file.number, of: Processes.ownPid))
    }
}

extension [UInt8] {
    fileprivate var word: UInt32 { word(at: 0) }
    fileprivate func word(at place: Int) -> UInt32 {
        guard place + 4 <= count else { return 0 }
        return (0..<4).reduce(0) { $0 | UInt32(self[place + $1]) << ($1 * 8) }
    }
}
