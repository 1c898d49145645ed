internal import CKernel
internal import Glibc
internal import LinuxABI

/// Asks and sets what ioctl_tty(2) knows of an open terminal.
package enum TerminalControl {
    /// Bytes of `struct termios2`. Source: asm-generic/termbits.h.
    package static let settingsSize = 44
    /// Bytes of `struct winsize`: rows, columns, width, height, 16 bits each.
    package static let windowSize = 8

    /// A request that writes `count` bytes.
    @inline(never)
    package static func ask(_ number: Int32, _ request: UInt64, _ count: Int, _ name: String) throws(SystemError) -> [UInt8] {
        try FaultPoint.terminal.pass("ioctl \(name)")
        var bytes = [UInt8](repeating: 0, count: count)
        let result = unsafe bytes.withUnsafeMutableBytes { buffer in
            // The kernel writes `count` bytes at most: the size of the request's structure.
            ckernel_syscall(Int(SYS_ioctl), Int(number), Int(request), Int(bitPattern: buffer.baseAddress), 0, 0, 0)
        }
        _ = try SystemError.check(result, "ioctl \(name)")
        return bytes
    }

    /// A request that reads a structure.
    @inline(never)
    package static func tell(_ number: Int32, _ request: UInt64, _ bytes: [UInt8], _ name: String) throws(SystemError) {
        try FaultPoint.terminal.pass("ioctl \(name)")
        let result = unsafe bytes.withUnsafeBytes { buffer in
            ckernel_syscall(Int(SYS_ioctl), Int(number), Int(request), Int(bitPattern: buffer.baseAddress), 0, 0, 0)
        }
        _ = try SystemError.check(result, "ioctl \(name)")
    }

    /// A request whose argument is a number.
    @inline(never)
    package static func order(_ number: Int32, _ request: UInt64, _ value: Int = 0, _ name: String) throws(SystemError) -> Int {
        try FaultPoint.terminal.pass("ioctl \(name)")
        return try SystemError.check(ckernel_syscall(Int(SYS_ioctl), Int(number), Int(request), value, 0, 0, 0), "ioctl \(name)")
    }

    package static func askNumber(_ number: Int32, _ request: UInt64, _ name: String) throws(SystemError) -> UInt32 {
        let bytes = try ask(number, request, 4, name)
        return bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    package static func tellNumber(_ number: Int32, _ request: UInt64, _ value: UInt32, _ name: String) throws(SystemError) {
        try tell(number, request, (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }, name)
    }

    package static func settings(_ number: Int32) throws(SystemError) -> [UInt8] {
        try ask(number, Ioctl.TCGETS2, settingsSize, "TCGETS2")
    }

    package static func set(_ number: Int32, settings: [UInt8]) throws(SystemError) {
        guard settings.count == settingsSize else { throw SystemError(EINVAL, in: "ioctl TCSETS2") }
        try tell(number, Ioctl.TCSETS2, settings, "TCSETS2")
    }

    package static func size(_ number: Int32) throws(SystemError) -> [UInt8] {
        try ask(number, Ioctl.TIOCGWINSZ, windowSize, "TIOCGWINSZ")
    }

    package static func set(_ number: Int32, size: [UInt8]) throws(SystemError) {
        guard size.count == windowSize else { throw SystemError(EINVAL, in: "ioctl TIOCSWINSZ") }
        try tell(number, Ioctl.TIOCSWINSZ, size, "TIOCSWINSZ")
    }

    /// The terminal behind a descriptor, as the kernel's device number: also behind `/dev/tty`. That of a master is the slave's.
    ///
    /// - Errors: `EIO`: it has been hung up.
    package static func device(_ number: Int32) throws(SystemError) -> UInt32 {
        try askNumber(number, Ioctl.TIOCGDEV, "TIOCGDEV")
    }

    /// The process group in the foreground, as seen from this process. Nil: none, or it is not our controlling terminal.
    package static func foreground(_ number: Int32) -> Int32? {
        guard let group = try? askNumber(number, Ioctl.TIOCGPGRP, "TIOCGPGRP"), group != 0 else { return nil }
        return Int32(bitPattern: group)
    }

    /// - Precondition: SIGTTOU is blocked, or this process is in the foreground.
    package static func setForeground(_ number: Int32, group: Int32) throws(SystemError) {
        try tellNumber(number, Ioctl.TIOCSPGRP, UInt32(bitPattern: group), "TIOCSPGRP")
    }

    /// The session that a terminal controls; of a slave only if that is ours.
    package static func session(_ number: Int32) -> Int32? {
        (try? askNumber(number, Ioctl.TIOCGSID, "TIOCGSID")).map { Int32(bitPattern: $0) }
    }

    /// Bytes that a read would find.
    package static func waiting(_ number: Int32) throws(SystemError) -> Int {
        Int(try askNumber(number, Ioctl.FIONREAD, "FIONREAD"))
    }
}

/// `struct termios2` as bytes.
package struct TerminalSettings: Sendable, Equatable {
    package var bytes: [UInt8]

    /// Nil: it has another size.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == TerminalControl.settingsSize else { return nil }
        self.bytes = bytes
    }

    private func word(_ at: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << (UInt32($1) * 8) } }
    private mutating func set(_ at: Int, _ value: UInt32) {
        for byte in 0..<4 { bytes[at + byte] = UInt8(truncatingIfNeeded: value >> (UInt32(byte) * 8)) }
    }

    package var input: UInt32 {
        get { word(0) }
        set { set(0, newValue) }
    }
    package var output: UInt32 {
        get { word(4) }
        set { set(4, newValue) }
    }
    package var local: UInt32 {
        get { word(12) }
        set { set(12, newValue) }
    }

    /// Reads give lines, which the kernel lets the user edit.
    package var isCanonical: Bool { local & TerminalFlags.ICANON != 0 }
    package var lineDiscipline: UInt8 { bytes[16] }

    /// As the line discipline sees it: with EXTPROC another program edits the lines.
    package var givesLines: Bool { isCanonical && local & TerminalFlags.EXTPROC == 0 }

    /// Bytes pass as they are; reads give what there is.
    package var transparent: TerminalSettings {
        var other = self
        other.input &= TerminalFlags.IUTF8
        other.output &= ~TerminalFlags.OPOST
        other.local &= TerminalFlags.EXTPROC
        other.bytes[17 + TerminalFlags.VMIN] = 1
        other.bytes[17 + TerminalFlags.VTIME] = 0
        return other
    }

    /// Reads give lines, and only a newline ends one; nothing is echoed or edited.
    package var plainLines: TerminalSettings {
        var other = transparent
        other.local |= TerminalFlags.ICANON
        // 0 switches a character off.
        for character in 0..<19 { other.bytes[17 + character] = 0 }
        return other
    }

    /// Characters of ``typedLines``.
    static let (endOfFile, literalNext, stop) = (UInt8(4), UInt8(22), UInt8(19))

    /// The same, but ``endOfFile`` ends a line, too, and after ``literalNext`` a character stands for itself.
    var typedLines: TerminalSettings {
        var other = plainLines
        other.local |= TerminalFlags.IEXTEN
        other.bytes[17 + TerminalFlags.VEOF] = Self.endOfFile
        other.bytes[17 + TerminalFlags.VLNEXT] = Self.literalNext
        return other
    }

    /// - Parameter stop: the character that holds output up; 0: none does.
    func withFlowControl(stop: UInt8) -> TerminalSettings {
        var other = self
        other.input |= TerminalFlags.IXON
        other.bytes[17 + TerminalFlags.VSTART] = 0
        other.bytes[17 + TerminalFlags.VSTOP] = stop
        return other
    }

    /// The same on another line: that keeps its speed and framing, and whether its bytes are UTF-8.
    package func onLine(of other: TerminalSettings) -> TerminalSettings {
        var here = self
        here.input = input & ~TerminalFlags.IUTF8 | other.input & TerminalFlags.IUTF8
        here.set(8, other.word(8))
        here.bytes.replaceSubrange(36..<44, with: other.bytes[36..<44])
        return here
    }

    /// For a terminal whose bytes another program interprets.
    package var raw: TerminalSettings {
        var other = self
        other.input &= TerminalFlags.IUTF8
        other.output &= ~TerminalFlags.OPOST
        other.local = 0
        other.bytes[17 + TerminalFlags.VMIN] = 1
        other.bytes[17 + TerminalFlags.VTIME] = 0
        return other
    }
}
