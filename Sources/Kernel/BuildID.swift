internal import LinuxABI

/// The build-id of an ELF file: the linker's digest of what it linked.
///
/// - Source: elf(5), `NT_GNU_BUILD_ID`.
package enum BuildID {
    /// Of an open file; nil where it is no ELF file or has none.
    package static func read(from file: borrowing Descriptor) throws(SystemError) -> [UInt8]? {
        let number = file.number
        return try find { offset, count throws(SystemError) in
            try readBytes(number, upTo: count, at: offset)
        }
    }

    /// open(2) does not wait: for another program to give up its lease, or for a writer where the name leads to a FIFO.
    private static let unwaiting = Int32(OpenFlag.O_NONBLOCK)

    /// Of the file at `path`.
    package static func read(from path: String) throws(SystemError) -> [UInt8]? {
        let file = try Descriptor.open(path, unwaiting)
        return try read(from: file)
    }

    /// The same with a path of any bytes.
    package static func read(from path: [UInt8]) throws(SystemError) -> [UInt8]? {
        let file = try Descriptor.open(path, unwaiting)
        return try read(from: file)
    }

    /// Finds it with the help of `read(offset, count)`, which may give fewer bytes than asked for.
    ///
    /// The file is not trusted: offsets and counts are bounded, nonsense means nil.
    static func find(
        _ read: (_ offset: UInt64, _ count: Int) throws(SystemError) -> [UInt8]
    ) throws(SystemError) -> [UInt8]? {
        let header = try read(0, 64)
        guard header.count >= 52, header.starts(with: [0x7f, 0x45, 0x4c, 0x46]),
            header[5] == 1 || header[5] == 2
        else { return nil }
        let big = header[5] == 2
        let wide: Bool
        switch header[4] {
        case 1: wide = false
        case 2: wide = true
        default: return nil
        }
        guard
            let tableOffset = wide ? word8(header, 32, big) : word4(header, 28, big).map(UInt64.init),
            let entrySize = word2(header, wide ? 54 : 42, big),
            let entryCount = word2(header, wide ? 56 : 44, big),
            entrySize == (wide ? 56 : 32), entryCount > 0, entryCount <= 1024, tableOffset < 1 << 62
        else { return nil }
        let table = try read(tableOffset, entrySize * entryCount)
        for index in 0..<entryCount {
            let at = index * entrySize
            guard let type = word4(table, at, big) else { return nil }
            guard type == 4 else { continue }  // PT_NOTE
            guard
                let offset = wide ? word8(table, at + 8, big) : word4(table, at + 4, big).map(UInt64.init),
                let size = wide ? word8(table, at + 32, big) : word4(table, at + 16, big).map(UInt64.init),
                offset < 1 << 62, size <= 1 << 16
            else { continue }
            if let found = buildID(inNotes: try read(offset, Int(size)), big) { return found }
        }
        return nil
    }

    /// Of the running machine's own byte order.
    static func find(inNotes notes: [UInt8]) -> [UInt8]? { buildID(inNotes: notes, Int(1).bigEndian == 1) }

    /// Notes follow one another: name size, content size, type, then name and content, each filled up to 4.
    private static func buildID(inNotes notes: [UInt8], _ big: Bool) -> [UInt8]? {
        var at = 0
        while let nameSize = word4(notes, at, big), let size = word4(notes, at + 4, big),
            let type = word4(notes, at + 8, big)
        {
            let name = at + 12
            let content = name + (Int(nameSize) + 3) & ~3
            guard content + Int(size) <= notes.count else { return nil }
            if type == 3, nameSize == 4, notes[name..<(name + 4)].elementsEqual([0x47, 0x4e, 0x55, 0]) {
                return Array(notes[content..<(content + Int(size))])
            }
            at = content + (Int(size) + 3) & ~3
        }
        return nil
    }

    private static func word2(_ bytes: [UInt8], _ at: Int, _ big: Bool) -> Int? {
        word(bytes, at, 2, big).map { Int($0) }
    }
    private static func word4(_ bytes: [UInt8], _ at: Int, _ big: Bool) -> UInt32? {
        word(bytes, at, 4, big).map { UInt32($0) }
    }
    private static func word8(_ bytes: [UInt8], _ at: Int, _ big: Bool) -> UInt64? { word(bytes, at, 8, big) }

    private static func word(_ bytes: [UInt8], _ at: Int, _ size: Int, _ big: Bool) -> UInt64? {
        guard at + size <= bytes.count else { return nil }
        var value: UInt64 = 0
        for index in 0..<size { value = value << 8 | UInt64(bytes[big ? at + index : at + size - 1 - index]) }
        return value
    }
}
