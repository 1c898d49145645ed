internal import LinuxABI

/// The TCP sockets of this network namespace.
///
/// - Source: proc(5), `/proc/net/tcp`.
package enum ConnectionTable {
    package struct Entry: Sendable, Equatable {
        /// `struct sockaddr_in` or `sockaddr_in6`
        package var local: [UInt8]
        package var peer: [UInt8]
        package var state: UInt32
        /// 0: no descriptor leads to it.
        package var inode: UInt64
        /// Bytes that it has sent and that are not acknowledged.
        package var unacknowledged: UInt32
    }

    package static func all() -> [Entry] {
        ["tcp", "tcp6"].flatMap { name in
            (try? readKernelText("/proc/self/net/\(name)", capacity: 1 << 16)).map { entries(in: $0) } ?? []
        }
    }

    /// By own address and that of the peer, with a blank between them: the inode of the socket.
    package static func inodes() -> [String: UInt64] { inodes(all()) }

    static func inodes(in text: [UInt8]) -> [String: UInt64] { inodes(entries(in: text)) }

    private static func inodes(_ entries: [Entry]) -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        for one in entries where one.inode != 0 {
            guard let local = SocketAddress.text(of: one.local), let peer = SocketAddress.text(of: one.peer) else { continue }
            if found["\(local) \(peer)"] == nil { found["\(local) \(peer)"] = one.inode }
        }
        return found
    }

    static func entries(in text: [UInt8]) -> [Entry] {
        text.split(separator: .newline).dropFirst().compactMap { line in
            let fields = line.split(separator: .blank).map { String(decoding: $0, as: UTF8.self) }
            guard fields.count > 9, let local = bytes(of: fields[1]), let peer = bytes(of: fields[2]), let inode = UInt64(fields[9]),
                let state = UInt32(fields[3], radix: 16), let queued = UInt32(fields[4].prefix { $0 != ":" }, radix: 16)
            else { return nil }
            return Entry(local: local, peer: peer, state: state, inode: inode, unacknowledged: queued)
        }
    }

    /// `0100007F:1F90` as a socket address: words of four bytes as the processor reads them, and the port.
    static func bytes(of text: String) -> [UInt8]? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1], radix: 16), parts[0].count == 8 || parts[0].count == 32 else { return nil }
        let isLong = parts[0].count == 32
        var bytes: [UInt8] = [isLong ? 10 : 2, 0, UInt8(port >> 8), UInt8(port & 0xff)]
        if isLong { bytes += [0, 0, 0, 0] }
        let digits = Array(parts[0])
        for start in stride(from: 0, to: digits.count, by: 8) {
            guard let word = UInt32(String(digits[start..<start + 8]), radix: 16) else { return nil }
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: word.littleEndian >> ($0 * 8)) }
        }
        return bytes + [UInt8](repeating: 0, count: isLong ? 4 : 8)
    }

    /// By inode: a process that has a descriptor of the socket, in words. Reads `/proc` of the whole host.
    package static func holders(of inodes: Set<UInt64>) -> [UInt64: String] {
        var found: [UInt64: String] = [:]
        let wanted = Dictionary(inodes.map { (Array("socket:[\($0)]".utf8), $0) }, uniquingKeysWith: { first, _ in first })
        for pid in (try? allProcesses()) ?? [] where found.count < inodes.count {
            for number in (try? descriptors(of: pid)) ?? [] {
                guard let link = try? readLink("/proc/\(pid)/fd/\(number)"), let inode = wanted[link], found[inode] == nil else { continue }
                found[inode] = "\(pid) \((try? ProcessStat(of: pid)).map { printable($0.comm) } ?? "")"
            }
        }
        return found
    }
}
