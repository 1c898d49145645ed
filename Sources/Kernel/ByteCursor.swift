internal import CKernel
internal import Glibc

/// Walks over the text of a `/proc` file byte by byte, without making strings.
///
/// Every method stops at the end of the text; none traps on malformed input.
struct ByteCursor {
    let bytes: [UInt8]
    var position: Int
    let end: Int

    init(_ bytes: [UInt8], from start: Int = 0) {
        self.bytes = bytes
        self.position = start
        self.end = bytes.count
    }

    var isAtEnd: Bool { position >= end }

    /// The next byte, 0 at the end.
    var next: UInt8 { position < end ? bytes[position] : 0 }

    /// Steps over blanks and tabs, not over line ends.
    mutating func skipBlanks() {
        while position < end, bytes[position] == .blank || bytes[position] == .tab { position += 1 }
    }

    /// Steps over bytes up to the next blank, tab or line end.
    mutating func skipWord() {
        while position < end, bytes[position] > .blank { position += 1 }
    }

    /// Steps over `byte` if it comes next.
    mutating func skip(_ byte: UInt8) -> Bool {
        guard position < end, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    /// Goes to the first byte of the next line.
    mutating func skipLine() {
        while position < end, bytes[position] != .newline { position += 1 }
        if position < end { position += 1 }
    }

    /// The bytes up to the line end; goes to the next line.
    mutating func restOfLine() -> ArraySlice<UInt8> {
        let start = position
        while position < end, bytes[position] != .newline { position += 1 }
        let line = bytes[start..<position]
        if position < end { position += 1 }
        return line
    }

    /// The first eight bytes of a key such as `SigPnd:`, packed as by ``key(_:)``; goes behind the colon.
    /// Nil, without moving off the line, where the line has no colon.
    mutating func key() -> UInt64? {
        var packed: UInt64 = 0
        var count: UInt64 = 0
        var at = position
        while at < end {
            let byte = bytes[at]
            if byte == .colon {
                position = at + 1
                return packed
            }
            if byte == .newline { return nil }
            if count < 8 {
                packed |= UInt64(byte) << (count * 8)
                count += 1
            }
            at += 1
        }
        return nil
    }

    /// Digits of base ten after blanks; nil where there are none or too many.
    mutating func decimal() -> UInt64? {
        skipBlanks()
        return digits(base: 10)
    }

    /// Digits of base ten after blanks, perhaps with a minus sign.
    mutating func signed() -> Int64? {
        skipBlanks()
        let negative = skip(UInt8(ascii: "-"))
        guard let magnitude = digits(base: 10) else { return nil }
        return negative ? Int64(bitPattern: 0 &- magnitude) : Int64(exactly: magnitude)
    }

    mutating func hexadecimal() -> UInt64? {
        skipBlanks()
        return digits(base: 16)
    }

    mutating func octal() -> UInt64? {
        skipBlanks()
        return digits(base: 8)
    }

    @inline(__always)
    private mutating func digits(base: UInt64) -> UInt64? {
        var value: UInt64 = 0
        let start = position
        while position < end {
            let byte = bytes[position]
            var digit = UInt64(byte &- UInt8(ascii: "0"))
            if base == 16, digit > 9 {
                let letter = (byte | 0x20) &- UInt8(ascii: "a")
                digit = letter < 6 ? UInt64(letter) + 10 : 255
            }
            if digit >= base { break }
            let (product, tooMuch) = value.multipliedReportingOverflow(by: base)
            let (sum, carried) = product.addingReportingOverflow(digit)
            if tooMuch || carried { return nil }
            value = sum
            position += 1
        }
        return position > start ? value : nil
    }
}

/// Packs the first eight bytes of a key for comparison with ``ByteCursor/key()``.
@inline(__always)
func key(_ text: StaticString) -> UInt64 {
    var packed: UInt64 = 0
    for index in 0..<min(8, text.utf8CodeUnitCount) {
        // In bounds: index < utf8CodeUnitCount, and the text is static.
        packed |= unsafe UInt64(text.utf8Start[index]) << UInt64(index * 8)
    }
    return packed
}

extension UInt8 {
    static let blank = UInt8(ascii: " ")
    static let tab = UInt8(ascii: "\t")
    static let newline = UInt8(ascii: "\n")
    static let colon = UInt8(ascii: ":")
}

/// The error for kernel text that does not have the documented shape.
func malformed(_ what: String) -> SystemError { SystemError(EBADMSG, in: "parse \(what)") }

/// Reads a whole file of `/proc` or `/sys` into one buffer that grows.
///
/// The kernel gives most of these files in pieces of a page, so a fresh array for each piece would
/// cost more than the read.
///
/// - Parameter capacity: bytes to start with; what the file usually needs.
func readKernelText(_ path: String, capacity: Int = 4096) throws(SystemError) -> [UInt8] {
    let file = try Descriptor.open(path)
    return try readKernelText(file, capacity: capacity)
}

/// The same with a path of any bytes.
func readKernelText(_ path: [UInt8], capacity: Int = 4096) throws(SystemError) -> [UInt8] {
    let file = try Descriptor.open(path)
    return try readKernelText(file, capacity: capacity)
}

/// Reads a file of `/proc` that the kernel makes as one record (`single_open`, `simple_read_from_buffer`): a read that gives fewer
/// bytes than were asked for has reached its end. So it is, unlike lists such as `maps`, read by one call.
func readKernelRecord(_ path: String, capacity: Int = 4096) throws(SystemError) -> [UInt8] {
    let file = try Descriptor.open(path)
    var bytes = [UInt8](repeating: 0, count: capacity)
    let count = try readInto(&bytes, at: 0, from: file.number)
    bytes.removeLast(capacity - count)
    return count < capacity ? bytes : bytes + (try readKernelText(file, capacity: capacity))
}

/// Reads from the file position of `file` to its end.
func readKernelText(_ file: borrowing Descriptor, capacity: Int = 4096) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: capacity)
    var filled = 0
    while true {
        if filled == bytes.count { bytes.append(contentsOf: repeatElement(0, count: bytes.count)) }
        let count = try readInto(&bytes, at: filled, from: file.number)
        if count == 0 { break }
        filled += count
    }
    bytes.removeLast(bytes.count - filled)
    return bytes
}

/// One read(2) into `bytes[position...]`. Retries `EINTR`.
@inline(never)
func readInto(_ bytes: inout [UInt8], at position: Int, from number: Int32) throws(SystemError) -> Int {
    try FaultPoint.read.pass("read")
    precondition(position <= bytes.count)
    let room = bytes.count - position
    while true {
        // In bounds: the kernel writes at most `room` bytes behind `position`.
        let result = unsafe bytes.withUnsafeMutableBytes { buffer in
            ckernel_syscall(
                Int(SYS_read), Int(number), Int(bitPattern: buffer.baseAddress) + position, room, 0, 0, 0)
        }
        if result == -Int(EINTR) { continue }
        return try SystemError.check(result, "read")
    }
}
