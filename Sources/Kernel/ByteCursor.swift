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
    var room = ReadingRoom(capacity)
    if try room.read(file.number) < capacity { return room.bytes }
    return try room.readAll(file.number)
}

/// Reads from the file position of `file` to its end.
func readKernelText(_ file: borrowing Descriptor, capacity: Int = 4096) throws(SystemError) -> [UInt8] {
    var room = ReadingRoom(capacity)
    return try room.readAll(file.number)
}

/// Memory for one reading. What was read is copied out of it: such texts are kept in thousands, and the room is used again while it is in
/// the cache, where a buffer that is kept with each text is new memory to its end.
@safe private struct ReadingRoom: ~Copyable {
    private var start: UnsafeMutableRawPointer
    private var size: Int
    private var count = 0

    init(_ capacity: Int) {
        size = capacity
        unsafe start = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { unsafe start.deallocate() }

    var bytes: [UInt8] { Array(unsafe UnsafeRawBufferPointer(start: start, count: count)) }

    /// One read(2), behind what was read before; zero: at the end.
    mutating func read(_ number: Int32) throws(SystemError) -> Int {
        // In bounds: the kernel writes at most `size - count` bytes behind the first `count`.
        let more = try unsafe readInto(UnsafeMutableRawBufferPointer(start: start + count, count: size - count), from: number)
        count += more
        return more
    }

    mutating func readAll(_ number: Int32) throws(SystemError) -> [UInt8] {
        while true {
            if count == size { grow() }
            if try read(number) == 0 { return bytes }
        }
    }

    private mutating func grow() {
        let larger = UnsafeMutableRawPointer.allocate(byteCount: size * 2, alignment: 16)
        unsafe larger.copyMemory(from: start, byteCount: count)
        unsafe start.deallocate()
        unsafe start = larger
        size *= 2
    }
}

/// One read(2) into `bytes[position...]`. Retries `EINTR`.
func readInto(_ bytes: inout [UInt8], at position: Int, from number: Int32) throws(SystemError) -> Int {
    precondition(position <= bytes.count)
    let result = unsafe bytes.withUnsafeMutableBytes { buffer in
        Result { () throws(SystemError) in try unsafe readInto(UnsafeMutableRawBufferPointer(rebasing: buffer[position...]), from: number) }
    }
    return try result.get()
}

/// One read(2) into a buffer. Retries `EINTR`.
@inline(never)
private func readInto(_ room: UnsafeMutableRawBufferPointer, from number: Int32) throws(SystemError) -> Int {
    try FaultPoint.read.pass("read")
    while true {
        let result = unsafe ckernel_syscall(Int(SYS_read), Int(number), Int(bitPattern: room.baseAddress), room.count, 0, 0, 0)
        if result == -Int(EINTR) { continue }
        return try SystemError.check(result, "read")
    }
}
