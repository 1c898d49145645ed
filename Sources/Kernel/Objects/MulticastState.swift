internal import Glibc
internal import LinuxABI

/// A multicast group that a socket has joined at a device.
package struct MulticastState: Equatable, Sendable {
    /// 4 or 16 bytes.
    package var group: [UInt8]
    package var device: UInt32
    /// MCAST_INCLUDE: only from these sources.
    package var isInclude = false
    package var sources: [[UInt8]] = []
}

/// The groups of this network namespace. The kernel does not list those of a socket, but answers for each group.
///
/// - Source: proc(5), `/proc/net/igmp`, `/proc/net/igmp6`; ip(7), MCAST_MSFILTER (RFC 3678).
package struct MulticastTable: Sendable {
    package var groups: [(group: [UInt8], device: UInt32)] = []

    package init() {
        if let text = try? readKernelText("/proc/self/net/igmp", capacity: 1 << 14) { readOld(text) }
        if let text = try? readKernelText("/proc/self/net/igmp6", capacity: 1 << 14) { readNew(text) }
    }

    init(igmp: [UInt8], igmp6: [UInt8]) {
        readOld(igmp)
        readNew(igmp6)
    }

    /// A line `2 eth0 : 1 V3` for each device, then an indented one for each group: `010000E0 1 0:00000000 0`.
    private mutating func readOld(_ text: [UInt8]) {
        var device: UInt32 = 0
        for line in text.split(separator: .newline).dropFirst() {
            let fields = line.split { $0 == .blank || $0 == .tab }.map { String(decoding: $0, as: UTF8.self) }
            guard let first = fields.first else { continue }
            if line.first != .tab && line.first != .blank {
                device = UInt32(first) ?? 0
            } else if let word = UInt32(first, radix: 16), first.count == 8 {
                groups.append(((0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }, device))
            }
        }
    }

    /// `1 lo ff020000000000000000000000000001 1 0000000C 0`
    private mutating func readNew(_ text: [UInt8]) {
        for line in text.split(separator: .newline) {
            let fields = line.split { $0 == .blank || $0 == .tab }.map { String(decoding: $0, as: UTF8.self) }
            guard fields.count > 2, let device = UInt32(fields[0]), fields[2].count == 32 else { continue }
            let digits = Array(fields[2])
            let bytes = stride(from: 0, to: 32, by: 2).compactMap { UInt8(String(digits[$0..<$0 + 2]), radix: 16) }
            if bytes.count == 16 { groups.append((bytes, device)) }
        }
    }

    /// Those that a socket has joined.
    package func memberships(of socket: borrowing SocketHandle, family: UInt32) -> [MulticastState] {
        groups.compactMap { one in
            // A socket of IPv6 can be in groups of IPv4, too.
            if one.group.count == 16 && family != UInt32(AF_INET6) { return nil }
            let level = one.group.count == 16 ? SocketOption.SOL_IPV6 : SocketOption.SOL_IP
            // Few sockets are in a group, and few groups have sources.
            var room = 0
            while true {
                let question = Self.question(one.group, one.device, room: room)
                guard let answer = try? socket.option(level, Socket.MCAST_MSFILTER, asking: question), answer.count >= 144 else { return nil }
                let count = Int(answer.word(at: 140))
                if count > room {
                    room = count
                    continue
                }
                return Self.answer(answer, one.group, one.device)
            }
        }
    }

    /// `struct group_filter`: the device, padding, the group as a socket address (128 bytes), mode, how many sources, the sources.
    static func question(_ group: [UInt8], _ device: UInt32, room: Int) -> [UInt8] {
        var question = bytes(device) + bytes(0)
        question += address(group)
        question += bytes(0)
        question += bytes(UInt32(room))
        question += [UInt8](repeating: 0, count: room * 128)
        return question
    }

    static func answer(_ bytes: [UInt8], _ group: [UInt8], _ device: UInt32) -> MulticastState {
        var state = MulticastState(group: group, device: device, isInclude: bytes.word(at: 136) == Socket.MCAST_INCLUDE)
        let start = group.count == 4 ? 4 : 8
        for index in 0..<Int(bytes.word(at: 140)) {
            let place = 144 + index * 128 + start
            guard place + group.count <= bytes.count else { break }
            state.sources.append(Array(bytes[place..<place + group.count]))
        }
        return state
    }

    /// `struct sockaddr_storage` without a port.
    static func address(_ host: [UInt8]) -> [UInt8] {
        let start: [UInt8] = host.count == 4 ? [2, 0, 0, 0] : [10, 0, 0, 0, 0, 0, 0, 0]
        return start + host + [UInt8](repeating: 0, count: 128 - start.count - host.count)
    }

    private static func bytes(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
}
