internal import CKernel
internal import Glibc
internal import LinuxABI

/// What fdinfo says about an epoll: its registrations, in the kernel's order (by open file, then by number).
///
/// - Source: proc(5), `/proc/pid/fdinfo`; fs/eventpoll.c, `ep_show_fdinfo`.
package struct EpollState: Equatable, Sendable {
    package struct Registration: Equatable, Sendable {
        /// As epoll_ctl(2) was given it; may be closed by now, or another file.
        package var number: Int32
        package var events: UInt32
        package var data: UInt64
        package var inode: UInt64
        /// How many registrations with the same number come before it.
        package var place: UInt32
    }

    package var registrations: [Registration] = []

    package init(_ info: DescriptorInfo) throws(SystemError) {
        var places: [Int32: UInt32] = [:]
        for line in info.extra {
            var cursor = ByteCursor(line)
            guard cursor.key() == key("tfd") else { continue }
            guard let number = cursor.decimal().flatMap({ Int32(exactly: $0) }), cursor.field("events"),
                let events = cursor.hexadecimal(), cursor.field("data"), let data = cursor.hexadecimal(),
                cursor.field("pos"), cursor.signed() != nil, cursor.field("ino"),
                let inode = cursor.hexadecimal()
            else { throw malformed("fdinfo of an epoll") }
            let place = places[number, default: 0]
            places[number] = place + 1
            registrations.append(
                Registration(
                    number: number, events: UInt32(truncatingIfNeeded: events), data: data, inode: inode,
                    place: place))
        }
    }
}

extension ByteCursor {
    /// Steps over blanks and `name:`.
    mutating func field(_ name: StaticString) -> Bool {
        skipBlanks()
        return key() == Kernel.key(name)
    }
}

/// Compares an open file with what a registration of an epoll really watches.
///
/// - Parameters:
///   - descriptor: of the open file, in process `pid`.
///   - epoll: descriptor of the epoll in process `watcher`.
/// - Source: kcmp(2), `KCMP_EPOLL_TFD`.
@inline(never)
package func compare(
    openFile descriptor: Int32, of pid: Int32, with registration: EpollState.Registration, ofEpoll epoll: Int32,
    in watcher: Int32
) throws(SystemError) -> KernelOrder {
    try FaultPoint.kcmp.pass("kcmp(KCMP_EPOLL_TFD)")
    // struct kcmp_epoll_slot: efd, tfd, toff
    var slot = (UInt32(bitPattern: epoll), UInt32(bitPattern: registration.number), registration.place)
    let result = unsafe withUnsafeMutablePointer(to: &slot) { pointer in
        ckernel_syscall(
            Int(SYS_kcmp), Int(pid), Int(watcher), Int(KcmpType.KCMP_EPOLL_TFD), Int(descriptor), Int(bitPattern: pointer), 0)
    }
    switch try SystemError.check(result, "kcmp(KCMP_EPOLL_TFD)") {
    case 0: return .same
    case 1: return .before
    case 2: return .after
    default: throw malformed("kcmp")
    }
}

/// Whether an epoll can watch what stands at a descriptor of this process: not so regular files and directories.
///
/// - Source: epoll_ctl(2), `EPERM`.
@inline(never)
package func isWatchable(_ number: Int32) -> Bool {
    let made = ckernel_syscall(Int(SYS_epoll_create1), Int(O_CLOEXEC), 0, 0, 0, 0, 0)
    guard made >= 0 else { return false }
    let epoll = Descriptor(owning: Int32(made))
    var event = (UInt64(0), UInt64(0))
    let added = unsafe withUnsafeMutablePointer(to: &event) { pointer in
        ckernel_syscall(
            Int(SYS_epoll_ctl), Int(epoll.number), Int(Epoll.EPOLL_CTL_ADD), Int(number), Int(bitPattern: pointer), 0, 0)
    }
    return added == 0
}
