internal import CKernel
internal import Glibc
internal import LinuxABI

/// What waits in a pty: taken, and put into one.
///
/// - Source: drivers/tty/n_tty.c (n_tty_receive_buf_common, canon_copy_from_read_buf, inq_canon), drivers/tty/pty.c (pty_write_room).
extension Pty {
    /// Why output to the slave waits.
    package enum Hold: UInt8, Sendable {
        case none
        /// Ctrl-S.
        case key
        /// tcflow(3) with TCOOFF: Ctrl-Q does not end it.
        case call
    }

    package struct Contents: Sendable, Equatable {
        /// Written to the master, not read from the slave yet.
        package var input: [UInt8] = []
        /// Places in `input` where a line ends without a newline: by Ctrl-D, or by a character that the settings name.
        package var lineEnds: [UInt32] = []
        /// Written to the slave, not read from the master yet.
        package var output: [UInt8] = []
        package var held = Hold.none

        package init(input: [UInt8] = [], lineEnds: [UInt32] = [], output: [UInt8] = [], held: Hold = .none) {
            (self.input, self.lineEnds, self.output, self.held) = (input, lineEnds, output, held)
        }

        /// The hold; the numbers of line ends and of bytes of input, 4 bytes each; line ends, 4 bytes each; input; output.
        var bytes: [UInt8] {
            let words = [UInt32(lineEnds.count), UInt32(input.count)] + lineEnds
            return [held.rawValue] + words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } } + input + output
        }

        init?(bytes: [UInt8]) {
            func word(_ at: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << UInt32($1 * 8) } }
            guard bytes.count >= 9, let held = Hold(rawValue: bytes[0]) else { return nil }
            let start = 9 + Int(word(1)) * 4
            guard start + Int(word(5)) <= bytes.count else { return nil }
            self.init(
                input: Array(bytes[start..<start + Int(word(5))]), lineEnds: (0..<Int(word(1))).map { word(9 + $0 * 4) },
                output: Array(bytes[(start + Int(word(5)))...]), held: held)
        }

        /// Input as a terminal takes it whose settings are `typedLines` (`lines`) or `transparent`.
        ///
        /// The kernel has room for 4095 characters, and has taken only these by the settings: the others (`late`) wait before it.
        func typed(lines: Bool) -> (taken: [UInt8], counted: Int, isUnfinished: Bool, late: [UInt8]) {
            var (taken, counted, size, unfinished) = ([UInt8](), 0, 0, 0)
            var ends = lineEnds[...]
            var place = 0
            while size < Pty.capacity {
                if lines, let end = ends.first, end <= place {
                    taken.append(TerminalSettings.endOfFile)
                    ends.removeFirst()
                    (counted, unfinished, size) = (counted + unfinished, 0, size + 1)
                    continue
                }
                guard place < input.count else { break }
                let byte = input[place]
                if lines && (byte == TerminalSettings.endOfFile || byte == TerminalSettings.literalNext) {
                    taken.append(TerminalSettings.literalNext)
                }
                taken.append(byte)
                (place, size, unfinished) = (place + 1, size + 1, unfinished + 1)
                if byte == 10 || !lines { (counted, unfinished) = (counted + unfinished, 0) }
            }
            return (taken, counted, unfinished > 0, Array(input[place...]))
        }
    }

    /// Characters that a terminal takes before they are read.
    static let capacity = 4095

    // MARK: - Take

    /// What waits in a pty. The kernel shows it only to a process that takes it: a forked child takes it and puts it back at
    /// once. If this process dies meanwhile, the child still puts it back.
    ///
    /// - Preconditions: no other process uses the pty meanwhile.
    /// - Errors: `ETIMEDOUT`: the child has not answered within 10 s; it goes on, and puts back what it took.
    package static func contents(of master: Int32) throws(SystemError) -> Contents {
        let question = try ForkedQuestion(at: .forkCheck, finishes: true) {
            // Until the child ends.
            _ = takeTurn()
            do throws(SystemError) { return try takeAndPutBack(master).bytes } catch { return [UInt8(truncatingIfNeeded: error.number)] }
        }
        switch question.answer(until: SystemClock.monotonic.now() + 10_000_000_000) {
        case .bytes(let bytes):
            if bytes.count == 1 { throw SystemError(Int32(bytes[0]), in: "ioctl of a pseudo-terminal") }
            guard let contents = Contents(bytes: bytes) else { throw SystemError(Errno.EPROTO, in: "read of a pseudo-terminal") }
            return contents
        case .ended: throw SystemError(Errno.EPROTO, in: "read of a pseudo-terminal")
        case .late: throw SystemError(Errno.ETIMEDOUT, in: "read of a pseudo-terminal")
        }
    }

    /// Waits until no other crcheckpoint, or what one that was killed has left behind, holds what waits in a pty; 5 s at most.
    package static func awaitTurn() {
        let turn = takeTurn()
        if turn >= 0 { DescriptorTable.close(turn) }
    }

    /// A lock that ends with this process, whatever becomes of it. Negative: none could be had.
    private static func takeTurn() -> Int32 {
        guard let number = try? Descriptor.open("/dev/pts", O_RDONLY | O_DIRECTORY | O_CLOEXEC).release() else { return -1 }
        let deadline = SystemClock.monotonic.now() + 5_000_000_000
        while ckernel_syscall(Int(SYS_flock), Int(number), Int(LOCK_EX | LOCK_NB), 0, 0, 0, 0) == -Int(EWOULDBLOCK),
            SystemClock.monotonic.now() < deadline
        { Waiting.pause(atMost: 1_000_000) }
        return number
    }

    static func takeAndPutBack(_ master: Int32) throws(SystemError) -> Contents {
        let isLocked = try isLocked(master)
        if isLocked { try lock(master, false) }
        defer { if isLocked { try? lock(master, true) } }
        let slave = try openSlave(of: master, nonBlocking: true)
        guard let settings = TerminalSettings(try TerminalControl.settings(slave.number)) else { return Contents() }
        // An unfinished line is not counted.
        let counted = try TerminalControl.waiting(slave.number)
        let mayHaveInput = settings.givesLines || counted > 0
        let isHeld = events(of: slave.number, POLLOUT) & POLLOUT == 0
        guard mayHaveInput || isHeld || events(of: master) & POLLIN != 0 else { return Contents() }
        let packets = try hasPackets(master)
        if packets { try setPackets(master, false) }
        defer { if packets { try? setPackets(master, true) } }
        var contents = Contents()
        do throws(SystemError) { try take(&contents, from: master, slave.number, settings) } catch {
            try? put(contents, into: master, slave.number, settings)
            throw error
        }
        try put(contents, into: master, slave.number, settings)
        return contents
    }

    private static func take(
        _ contents: inout Contents, from master: Int32, _ slave: Int32, _ settings: TerminalSettings
    ) throws(SystemError) {
        try drain(master, into: &contents.output)
        // There is room now: output that still finds none is held.
        if events(of: slave, POLLOUT) & POLLOUT == 0 { contents.held = .key }
        try TerminalControl.set(slave, settings: (settings.givesLines ? settings.plainLines : settings.transparent).bytes)
        // The kernel has ended a hold by Ctrl-S with the settings that knew the key.
        if contents.held == .key && events(of: slave, POLLOUT) & POLLOUT == 0 {
            contents.held = .call
            _ = try TerminalControl.order(slave, Ioctl.TCXONC, flowOn, "TCXONC")
        }
        // Echoes had been held up with the rest.
        if contents.held != .none { try drain(master, into: &contents.output) }
        if settings.givesLines {
            while events(of: slave) & POLLIN != 0 && contents.input.count + contents.lineEnds.count < limit {
                guard let line = try readSome(slave) else { break }
                contents.input += line
                if line.last != 10 { contents.lineEnds.append(UInt32(contents.input.count)) }
            }
            try TerminalControl.set(slave, settings: settings.transparent.bytes)
        }
        try drain(slave, into: &contents.input)
    }

    private static let limit = 1 << 16
    /// `TCOOFF` and `TCOON`.
    private static let (flowOff, flowOn) = (0, 1)

    private static func drain(_ number: Int32, into all: inout [UInt8]) throws(SystemError) {
        while events(of: number) & POLLIN != 0 && all.count < limit {
            guard let part = try readSome(number), !part.isEmpty else { break }
            all += part
        }
    }

    /// Nil: there is nothing, or will never be.
    private static func readSome(_ number: Int32) throws(SystemError) -> [UInt8]? {
        do throws(SystemError) { return try readBytes(number, upTo: 65536, at: nil) } catch {
            if error.number == EAGAIN || error.number == EIO { return nil }
            throw error
        }
    }

    // MARK: - Put

    /// Puts bytes into a pty that holds none, and gives it its settings.
    package static func put(_ contents: Contents, into master: Int32, _ slave: Int32, _ settings: TerminalSettings) throws(SystemError) {
        let quiet = settings.givesLines ? settings.typedLines : settings.transparent
        try TerminalControl.set(slave, settings: quiet.bytes)
        try write(contents.output, to: slave)
        switch contents.held {
        case .none: break
        case .call: _ = try TerminalControl.order(slave, Ioctl.TCXONC, flowOff, "TCXONC")
        case .key:
            // Until the last settings are set the key is another one, then none.
            try TerminalControl.set(slave, settings: quiet.withFlowControl(stop: TerminalSettings.stop).bytes)
            try write([TerminalSettings.stop], to: master)
            waitUntil { events(of: slave, POLLIN | POLLOUT) & POLLOUT == 0 }
            try TerminalControl.set(slave, settings: quiet.withFlowControl(stop: 0).bytes)
        }
        let typed = contents.typed(lines: settings.givesLines)
        try write(typed.taken, to: master)
        // The kernel hands bytes over in the background, and takes them by the settings of that moment. To look for input that
        // is not there is to wait until they are handed over.
        waitUntil {
            _ = events(of: slave)
            guard let counted = try? TerminalControl.waiting(slave) else { return true }
            return counted >= typed.counted
        }
        if typed.isUnfinished && typed.counted > 0 { Waiting.pause(atMost: 20_000_000) }
        try TerminalControl.set(slave, settings: settings.bytes)
        try write(typed.late, to: master)
    }

    /// A second at most.
    private static func waitUntil(_ done: () -> Bool) {
        let deadline = SystemClock.monotonic.now() + 1_000_000_000
        while !done(), SystemClock.monotonic.now() < deadline { Waiting.pause(atMost: 200_000) }
    }

    /// - Errors: `ETIMEDOUT`: there has been no room for 2 s.
    private static func write(_ bytes: [UInt8], to number: Int32) throws(SystemError) {
        // The open file may be one of the tree, in either mode: it has its own again at the end.
        let flags = try DescriptorTable.flags(of: number)
        if flags & UInt32(O_NONBLOCK) == 0 { try DescriptorTable.set(number, statusFlags: flags | UInt32(O_NONBLOCK)) }
        defer { if flags & UInt32(O_NONBLOCK) == 0 { try? DescriptorTable.set(number, statusFlags: flags) } }
        var done = 0
        while done < bytes.count {
            // One by one: no write is split over two of the kernel's buffers, so larger ones leave gaps, and less goes in than was there.
            let result = unsafe bytes.withUnsafeBytes { buffer in
                // One byte of the array, which outlives the call.
                ckernel_syscall(
                    Int(SYS_write), Int(number), Int(bitPattern: buffer.baseAddress) + done, 1, 0, 0, 0)
            }
            if result == -Int(EINTR) { continue }
            if result == -Int(EAGAIN) {
                guard events(of: number, POLLOUT, waiting: 2000) & POLLOUT != 0 else { throw SystemError(ETIMEDOUT, in: "write") }
                continue
            }
            done += try SystemError.check(result, "write")
        }
    }
}
