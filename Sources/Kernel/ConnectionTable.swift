/// The TCP connections of this network namespace.
///
/// - Source: proc(5), `/proc/net/tcp`.
package enum ConnectionTable {
    /// By own address and that of the peer, with a blank between them: the inode of the socket.
    package static func inodes() -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        for name in ["tcp", "tcp6"] {
            guard let text = try? readKernelText("/proc/self/net/\(name)", capacity: 1 << 16) else { continue }
            found.merge(inodes(in: text)) { first, _ in first }
        }
        return found
    }

    static func inodes(in text: [UInt8]) -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        for line in text.split(separator: .newline).dropFirst() {
            let fields = line.split(separator: .blank).map { String(decoding: $0, as: UTF8.self) }
            guard fields.count > 9, let local = address(fields[1]), let peer = address(fields[2]), let inode = UInt64(fields[9]), inode != 0
            else { continue }
            found["\(local) \(peer)"] = inode
        }
        return found
    }

    /// `0100007F:1F90`: words of four bytes as the processor reads them, and the port.
    private static func address(_ text: String) -> String? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1], radix: 16), parts[0].count == 8 || parts[0].count == 32 else { return nil }
        var bytes: [UInt8] = parts[0].count == 8 ? [2, 0] : [10, 0]
        bytes += [UInt8(port >> 8), UInt8(port & 0xff)]
        if parts[0].count == 32 { bytes += [0, 0, 0, 0] }
        let digits = Array(parts[0])
        for start in stride(from: 0, to: digits.count, by: 8) {
            guard let word = UInt32(String(digits[start..<start + 8]), radix: 16) else { return nil }
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: word.littleEndian >> ($0 * 8)) }
        }
        return SocketLook.text(of: bytes)
    }
}
