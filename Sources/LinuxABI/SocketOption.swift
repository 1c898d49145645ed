/// An option of sockets that a program can set and read again.
///
/// The tables (``all``) are in the order in which a restart sets them; one table for each level. A test compares them with the
/// kernel's headers.
///
/// - Source: socket(7), ip(7), ipv6(7), udp(7), raw(7), packet(7), netlink(7), tcp(7), and their headers.
package struct SocketOption: Sendable, Hashable {
    /// Families of sockets that have it; in which of their types and protocols the kernel tells by an error.
    package struct Families: OptionSet, Sendable, Hashable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static var unix: Families { Families(rawValue: 1) }
        package static var ipv4: Families { Families(rawValue: 2) }
        package static var ipv6: Families { Families(rawValue: 4) }
        package static var packet: Families { Families(rawValue: 8) }
        package static var netlink: Families { Families(rawValue: 16) }
        package static var inet: Families { [.ipv4, .ipv6] }
        package static var all: Families { [.unix, .ipv4, .ipv6, .packet, .netlink] }

        /// Of AF_*; empty: one that is not saved.
        package init(family: UInt32) {
            self = [1: .unix, 2: .ipv4, 10: .ipv6, 16: .netlink, 17: .packet][family] ?? []
        }
    }

    /// When a restart sets it.
    package enum Moment: Sendable, Hashable {
        /// Before the socket is bound, connected, or listens.
        case early
        case late
    }

    /// How what getsockopt(2) gives becomes what setsockopt(2) takes.
    package enum Form: Sendable, Hashable {
        /// It is the same.
        case plain
        /// getsockopt gives the double. With CAP_NET_ADMIN another option sets it beyond the limits of the host.
        case buffer(force: UInt32)
        /// The number of a network device, which another host numbers otherwise; 0: none.
        case device
        /// Likewise, with its first byte first as in packets.
        case networkOrderDevice
        /// SO_BINDTODEVICE: the name of a network device.
        case deviceName
        /// SO_GET_FILTER: instructions, which SO_ATTACH_FILTER takes by `struct sock_fprog`.
        case filter
        /// Of a connected socket the kernel changes it by itself: it is the program's only where nothing is connected.
        case unconnected
        /// It is told, but not so that it could be set again: refused where it was changed.
        case told
    }

    package var level: UInt32
    package var number: UInt32
    package var name: String
    /// Bytes.
    package var sizes: ClosedRange<Int>
    package var families: Families
    package var moment: Moment
    package var form: Form
    /// What it takes to set it: a capability; nil: none. The second, where it is there, does as well.
    package var capabilities: [UInt64]
    /// Only values above this one need the capability, counted as a signed number of 4 bytes.
    package var freeUpTo: Int32?

    package init(
        _ level: UInt32, _ number: UInt32, _ name: String, _ sizes: ClosedRange<Int>, _ families: Families, _ moment: Moment = .late,
        _ form: Form = .plain, needs capabilities: [UInt64] = [], above free: Int32? = nil
    ) {
        (self.level, self.number, self.name, self.sizes, self.families) = (level, number, name, sizes, families)
        (self.moment, self.form, self.capabilities, freeUpTo) = (moment, form, capabilities, free)
    }

    /// Every option that is saved. The order holds across the levels: IP_TOS changes SO_PRIORITY, and SO_PEEK_OFF is the last, since what
    /// is looked at moves it.
    package static let all = ipv4 + ipv6 + transport + general
    private static let byKey = Dictionary(
        all.enumerated().map { (UInt64($1.level) << 32 | UInt64($1.number), ($0, $1)) }, uniquingKeysWith: { first, _ in first })

    package static func known(_ level: UInt32, _ number: UInt32) -> SocketOption? { byKey[UInt64(level) << 32 | UInt64(number)]?.1 }

    /// The place in the order of setting.
    package static func rank(_ level: UInt32, _ number: UInt32) -> Int { byKey[UInt64(level) << 32 | UInt64(number)]?.0 ?? .max }

    /// Those that sockets of a family can have.
    package static func options(of families: Families) -> [SocketOption] { all.filter { !$0.families.isDisjoint(with: families) } }
}
