internal import CKernel
internal import Glibc
internal import LinuxABI

/// Network devices, as the network namespace of a socket numbers them.
///
/// - Source: netdevice(7).
extension SocketHandle {
    /// The name of a device; nil: there is none with that number.
    package borrowing func deviceName(_ index: UInt32) -> [UInt8]? {
        request(Ioctl.SIOCGIFNAME, name: [], index).map { Array($0.prefix(16).prefix { $0 != 0 }) }
    }

    /// The number of a device; nil: there is none of that name.
    package borrowing func deviceIndex(_ name: [UInt8]) -> UInt32? {
        request(Ioctl.SIOCGIFINDEX, name: name, 0).map { bytes in (0..<4).reduce(0) { $0 | UInt32(bytes[16 + $1]) << ($1 * 8) } }
    }

    /// `struct ifreq`: the name, 16 bytes, then here the number.
    @inline(never)
    private borrowing func request(_ request: UInt64, name: [UInt8], _ index: UInt32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 40)
        for (place, byte) in name.prefix(15).enumerated() { bytes[place] = byte }
        for place in 0..<4 { bytes[16 + place] = UInt8(truncatingIfNeeded: index >> (place * 8)) }
        let result = unsafe bytes.withUnsafeMutableBytes { bytes in
            ckernel_syscall(Int(SYS_ioctl), Int(copy.number), Int(request), Int(bitPattern: bytes.baseAddress), 0, 0, 0)
        }
        return result == 0 ? bytes : nil
    }
}
