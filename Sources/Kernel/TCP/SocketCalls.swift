internal import CKernel
internal import Glibc
internal import LinuxABI

/// System calls on a socket that this process has a descriptor of.
package enum SocketCalls {
    /// The value of an option; nil where the kernel does not know it.
    @inline(never)
    package static func option(_ level: UInt64, _ option: UInt32, of number: Int32, upTo count: Int = 64) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var size = UInt32(count)
        // Both outlive the call.
        let result = unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe withUnsafeMutablePointer(to: &size) { size in
                ckernel_syscall(Int(SYS_getsockopt), Int(number), Int(level), Int(option), Int(bitPattern: bytes.baseAddress), Int(bitPattern: size), 0)
            }
        }
        return result == 0 ? Array(bytes.prefix(Int(size))) : nil
    }

    /// An option of four bytes.
    @inline(never)
    package static func word(_ level: UInt64, _ option: UInt32, of number: Int32) throws(SystemError) -> UInt32 {
        var value: UInt32 = 0
        var size = UInt32(4)
        // Both outlive the call.
        let result = unsafe withUnsafeMutablePointer(to: &value) { value in
            unsafe withUnsafeMutablePointer(to: &size) { size in
                ckernel_syscall(Int(SYS_getsockopt), Int(number), Int(level), Int(option), Int(bitPattern: value), Int(bitPattern: size), 0)
            }
        }
        _ = try SystemError.check(result, "getsockopt \(option)")
        return value
    }

    @inline(never)
    package static func set(_ level: UInt64, _ option: UInt32, of number: Int32, to value: UInt32) throws(SystemError) {
        var value = value
        // It outlives the call.
        let result = unsafe withUnsafeMutablePointer(to: &value) { value in
            ckernel_syscall(Int(SYS_setsockopt), Int(number), Int(level), Int(option), Int(bitPattern: value), 4, 0)
        }
        _ = try SystemError.check(result, "setsockopt \(option)")
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
