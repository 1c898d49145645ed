internal import CKernel
internal import Glibc
internal import LinuxABI

/// Pseudo-terminals: making them with a certain number, and what waits in them.
///
/// - Source: pty(7), ioctl_tty(2); drivers/tty/pty.c, drivers/tty/n_tty.c.
package enum Pty {
    /// A new master. As a rule the kernel takes the lowest free number: lower ones are held for a moment.
    ///
    /// - Returns: nil, where `wanted` is taken.
    package static func open(number wanted: UInt32) throws(SystemError) -> Descriptor? {
        var held: [Int32] = []
        defer { for number in held { DescriptorTable.close(number) } }
        while held.count < 4096 {
            let master = try open()
            let number = try self.number(of: master.number)
            if number == wanted { return master }
            if number > wanted { return nil }
            held.append(master.release())
        }
        return nil
    }

    /// A new master, with any number. Its slave can be opened.
    package static func open() throws(SystemError) -> Descriptor {
        let master = try Descriptor.open("/dev/ptmx", O_RDWR | O_NOCTTY)
        try lock(master.number, false)
        return master
    }

    package static func number(of master: Int32) throws(SystemError) -> UInt32 {
        try TerminalControl.askNumber(master, Ioctl.TIOCGPTN, "TIOCGPTN")
    }

    package static func lock(_ master: Int32, _ locks: Bool) throws(SystemError) {
        try TerminalControl.tellNumber(master, Ioctl.TIOCSPTLCK, locks ? 1 : 0, "TIOCSPTLCK")
    }

    package static func isLocked(_ master: Int32) throws(SystemError) -> Bool {
        try TerminalControl.askNumber(master, Ioctl.TIOCGPTLCK, "TIOCGPTLCK") != 0
    }

    package static func hasPackets(_ master: Int32) throws(SystemError) -> Bool {
        try TerminalControl.askNumber(master, Ioctl.TIOCGPKT, "TIOCGPKT") != 0
    }

    package static func setPackets(_ master: Int32, _ packets: Bool) throws(SystemError) {
        try TerminalControl.tellNumber(master, Ioctl.TIOCPKT, packets ? 1 : 0, "TIOCPKT")
    }

    package static func isExclusive(_ slave: Int32) throws(SystemError) -> Bool {
        try TerminalControl.askNumber(slave, Ioctl.TIOCGEXCL, "TIOCGEXCL") != 0
    }

    /// Opens the slave, not as a controlling terminal.
    package static func openSlave(of master: Int32, nonBlocking: Bool = false) throws(SystemError) -> Descriptor {
        let flags = O_RDWR | O_NOCTTY | O_CLOEXEC | (nonBlocking ? O_NONBLOCK : 0)
        return Descriptor(owning: Int32(try TerminalControl.order(master, Ioctl.TIOCGPTPEER, Int(flags), "TIOCGPTPEER")))
    }

    /// Every process has closed the slave.
    package static func hasLostSlave(_ master: Int32) -> Bool { events(of: master) & POLLHUP != 0 }

    /// The master can be read.
    package static func hasOutput(_ master: Int32) -> Bool { events(of: master) & POLLIN != 0 }

    /// - Parameters: as fchown(2) and fchmod(2). What the kernel refuses stays as it is.
    package static func give(_ slave: Int32, owner: UInt32, group: UInt32, mode: UInt32) {
        _ = ckernel_syscall(Int(SYS_fchown), Int(slave), Int(owner), Int(group), 0, 0, 0)
        _ = ckernel_syscall(Int(SYS_fchmod), Int(slave), Int(mode), 0, 0, 0, 0)
    }

    /// - Parameter milliseconds: waits until there is one of them.
    static func events(of number: Int32, _ wanted: Int32 = POLLIN, waiting milliseconds: Int32 = 0) -> Int32 {
        var look = pollfd(fd: number, events: Int16(wanted), revents: 0)
        // One structure, which outlives the call.
        return unsafe poll(&look, 1, milliseconds) > 0 ? Int32(look.revents) : 0
    }
}
