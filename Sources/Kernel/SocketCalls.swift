internal import CKernel
internal import Glibc
internal import LinuxABI

/// System calls on a socket that this process has a descriptor of.
package enum SocketCalls {
    /// The value of an option; nil where the kernel does not know it.
    package static func option(_ level: UInt64, _ option: UInt32, of number: Int32, upTo count: Int = 64) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        guard let size = try? read(level, option, of: number, into: &bytes) else { return nil }
        return Array(bytes.prefix(size))
    }

    /// - Returns: how many bytes there are.
    @inline(never)
    package static func read(_ level: UInt64, _ option: UInt32, of number: Int32, into bytes: inout [UInt8]) throws(SystemError) -> Int {
        var size = UInt32(bytes.count)
        // Both outlive the call, and the kernel writes no more than `size` bytes.
        let result = unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe withUnsafeMutablePointer(to: &size) { size in
                ckernel_syscall(Int(SYS_getsockopt), Int(number), Int(level), Int(option), Int(bitPattern: bytes.baseAddress), Int(bitPattern: size), 0)
            }
        }
        _ = try SystemError.check(result, "getsockopt \(option)")
        return min(Int(size), bytes.count)
    }

    /// An option of four bytes.
    package static func word(_ level: UInt64, _ option: UInt32, of number: Int32) throws(SystemError) -> UInt32 {
        var bytes: [UInt8] = [0, 0, 0, 0]
        _ = try read(level, option, of: number, into: &bytes)
        return bytes.word(at: 0)
    }

    @inline(never)
    package static func set(_ level: UInt64, _ option: UInt32, of number: Int32, to value: [UInt8]) throws(SystemError) {
        // It outlives the call.
        let result = unsafe value.withUnsafeBytes { value in
            ckernel_syscall(Int(SYS_setsockopt), Int(number), Int(level), Int(option), Int(bitPattern: value.baseAddress), value.count, 0)
        }
        _ = try SystemError.check(result, "setsockopt \(option)")
    }

    package static func set(_ level: UInt64, _ option: UInt32, of number: Int32, to value: UInt32) throws(SystemError) {
        try set(level, option, of: number, to: (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) })
    }

    /// A `struct sockaddr`; nil where there is none.
    package static func address(of number: Int32) -> [UInt8]? { address(of: number, Int(SYS_getsockname)) }
    package static func peerAddress(of number: Int32) -> [UInt8]? { address(of: number, Int(SYS_getpeername)) }

    @inline(never)
    private static func address(of number: Int32, _ call: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 128)
        var size = UInt32(bytes.count)
        let result = unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe withUnsafeMutablePointer(to: &size) { size in
                ckernel_syscall(call, Int(number), Int(bitPattern: bytes.baseAddress), Int(bitPattern: size), 0, 0, 0)
            }
        }
        return result == 0 ? Array(bytes.prefix(Int(size))) : nil
    }

    /// What an ioctl(2) such as SIOCINQ counts.
    @inline(never)
    package static func count(_ request: UInt64, of number: Int32) throws(SystemError) -> Int {
        var value: Int32 = 0
        let result = unsafe withUnsafeMutablePointer(to: &value) { value in
            ckernel_syscall(Int(SYS_ioctl), Int(number), Int(request), Int(bitPattern: value), 0, 0, 0)
        }
        _ = try SystemError.check(result, "ioctl")
        return Int(value)
    }

    /// Receives into the beginning of `room`, by default without taking anything away.
    @inline(never)
    package static func receive(
        _ number: Int32, into room: inout [UInt8], count: Int, flags: UInt64 = Socket.MSG_PEEK | Socket.MSG_DONTWAIT
    ) throws(SystemError) -> Int {
        precondition(count <= room.count, "room for what is received")
        let result = unsafe room.withUnsafeMutableBytes { room in
            ckernel_syscall(Int(SYS_recvfrom), Int(number), Int(bitPattern: room.baseAddress), count, Int(flags), 0, 0)
        }
        return try SystemError.check(result, "recvfrom")
    }

    /// - Returns: how much was sent.
    @inline(never)
    package static func send(
        _ bytes: ArraySlice<UInt8>, to address: [UInt8] = [], on number: Int32, flags: UInt64 = Socket.MSG_DONTWAIT | Socket.MSG_NOSIGNAL
    ) throws(SystemError) -> Int {
        let result = unsafe bytes.withUnsafeBytes { bytes in
            unsafe address.withUnsafeBytes { address in
                let place = unsafe address.isEmpty ? 0 : Int(bitPattern: address.baseAddress)
                return ckernel_syscall(
                    Int(SYS_sendto), Int(number), Int(bitPattern: bytes.baseAddress), bytes.count, Int(flags), place, address.count)
            }
        }
        return try SystemError.check(result, "sendto")
    }

    /// - Returns: the events that have happened, without waiting.
    @inline(never)
    package static func events(of number: Int32, _ wanted: Int16 = 0) -> Int16 {
        var look = pollfd(fd: number, events: wanted, revents: 0)
        _ = unsafe poll(&look, 1, 0)
        return look.revents
    }

    package static func shutdown(_ number: Int32, _ how: UInt64) throws(SystemError) {
        _ = try SystemError.check(ckernel_syscall(Int(SYS_shutdown), Int(number), Int(how), 0, 0, 0, 0), "shutdown")
    }

    @inline(never)
    package static func connect(_ number: Int32, to address: [UInt8]) throws(SystemError) {
        let result = unsafe address.withUnsafeBytes { address in
            ckernel_syscall(Int(SYS_connect), Int(number), Int(bitPattern: address.baseAddress), address.count, 0, 0, 0)
        }
        _ = try SystemError.check(result, "connect")
    }

    @inline(never)
    package static func bind(_ number: Int32, to address: [UInt8]) throws(SystemError) {
        let result = unsafe address.withUnsafeBytes { address in
            ckernel_syscall(Int(SYS_bind), Int(number), Int(bitPattern: address.baseAddress), address.count, 0, 0, 0)
        }
        _ = try SystemError.check(result, "bind")
    }

    package static func make(_ family: UInt64, _ type: UInt64, _ protocolNumber: UInt64) throws(SystemError) -> Descriptor {
        let made = ckernel_syscall(Int(SYS_socket), Int(family), Int(type | Socket.SOCK_CLOEXEC), Int(protocolNumber), 0, 0, 0)
        return Descriptor(owning: Int32(try SystemError.check(made, "socket")))
    }
}
