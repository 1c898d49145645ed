internal import CKernel
internal import Glibc
internal import LinuxABI

/// Looks into a unix socket of another process by a copy of its descriptor, without taking anything out of it.
///
/// - Source: unix(7), recv(2) (`MSG_PEEK`), socket(7) (`SO_PEEK_OFF`).
package struct UnixSocketLook: ~Copyable {
    package let socket: SocketHandle
    var copy: Int32 { socket.copy.number }

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

    package init(of pid: Int32, descriptor: Int32) throws(SystemError) { socket = try SocketHandle(of: pid, descriptor: descriptor) }

    /// A socket of this type as socket(2) makes it.
    package init(newOfType type: UInt32) throws(SystemError) {
        socket = try SocketHandle(new: SocketHandle.Kind(family: UInt32(AF_UNIX), type: type, number: 0))
    }

    package var type: UInt32 { socket.number(UInt32(SO_TYPE)).map { UInt32(bitPattern: $0) } ?? 0 }

    /// The value of an option of level SOL_SOCKET; nil where the kernel does not know it.
    package borrowing func option(_ option: UInt32) -> [UInt8]? { socket.option(SocketOption.SOL_SOCKET, option) }

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
        let socket = copy
        // The copy of a child, which ends at once.
        let bytes = Self.asked(seenBy: process) {
            SocketHandle(owning: Descriptor(owning: socket)).option(SocketOption.SOL_SOCKET, SocketOptions.SO_PEERCRED) ?? [0]
        }
        guard let bytes, bytes.count >= 12 else { return nil }
        return bytes.word(at: 0)
    }

    /// The numbers of the processes that have sent what waits, message by message, likewise; 0: it has none there, or the message has no
    /// sender.
    ///
    /// - Preconditions: as for ``messages(isStream:ended:)``.
    /// - Returns: nil: they cannot be asked.
    package borrowing func senderNumbers(isStream: Bool, ended: Bool, seenBy process: Int32) -> [UInt32]? {
        let socket = copy
        let bytes = Self.asked(seenBy: process) {
            let look = UnixSocketLook(owning: Descriptor(owning: socket))
            guard let found = try? look.messages(isStream: isStream, ended: ended) else { return [0] }
            return found.flatMap { message in (0..<4).map { UInt8(truncatingIfNeeded: (message.sender?.pid ?? 0) >> ($0 * 8)) } }
        }
        guard let bytes, bytes.count % 4 == 0 else { return nil }
        return stride(from: 0, to: bytes.count, by: 4).map { bytes.word(at: $0) }
    }

    private init(owning copy: consuming Descriptor) { socket = SocketHandle(owning: copy) }

    /// What a child in the pid namespace of a process answers.
    private static func asked(seenBy process: Int32, _ answer: () -> [UInt8]) -> [UInt8]? {
        guard let namespace = try? Descriptor.open("/proc/\(process)/ns/pid") else { return nil }
        let number = namespace.number
        let deadline = SystemClock.monotonic.now() + 2_000_000_000
        // A process does not change its own pid namespace, only that of its children.
        let child = try? ForkedQuestion(at: .forkCheck) {
            guard ckernel_syscall(Int(SYS_setns), Int(number), Int(CloneFlag.CLONE_NEWPID), 0, 0, 0, 0) == 0,
                let inner = try? ForkedQuestion(at: .forkCheck, answer), case .bytes(let bytes) = inner.answer(until: deadline)
            else { return [0] }
            return bytes
        }
        guard case .bytes(let bytes)? = child?.answer(until: deadline) else { return nil }
        return bytes
    }

    /// Its own address, without the family; nil where it cannot be asked.
    package borrowing func address() -> [UInt8] { socket.address().map { Self.trimmed($0, $0.count) } ?? [] }
    package borrowing func peerAddress() -> [UInt8]? { socket.peerAddress().map { Self.trimmed($0, $0.count) } }

    /// Without the family, and without the zero byte behind a path.
    static func trimmed(_ address: [UInt8], _ size: Int) -> [UInt8] {
        let name = Array(address.prefix(size).dropFirst(2))
        if name.isEmpty || name[0] == 0 { return name }
        return Array(name.prefix { $0 != 0 })
    }

    /// A byte of urgent data (MSG_OOB) waits.
    @inline(never)
    package borrowing func hasUrgentData() -> Bool {
        var byte: UInt8 = 0
        let result = unsafe withUnsafeMutablePointer(to: &byte) { byte in
            ckernel_syscall(Int(SYS_recvfrom), Int(copy), Int(bitPattern: byte), 1, Int(Socket.MSG_OOB | Socket.MSG_PEEK | Socket.MSG_DONTWAIT), 0, 0)
        }
        return result == 1
    }

    /// The path of the file that its name was made as, and whether the name leads there no more; nil: it has no path.
    ///
    /// - Source: unix(7), SIOCUNIXFILE wants CAP_NET_ADMIN.
    @inline(never)
    package borrowing func file() throws(SystemError) -> (link: [UInt8], status: FileStatus) {
        let result = ckernel_syscall(Int(SYS_ioctl), Int(copy), Int(Ioctl.SIOCUNIXFILE), 0, 0, 0, 0)
        let file = Descriptor(owning: Int32(try SystemError.check(result, "ioctl(SIOCUNIXFILE)")))
        return (try readLink("/proc/self/fd/\(file.number)"), try FileStatus(ofDescriptor: file.number, of: Processes.ownPid))
    }
}
