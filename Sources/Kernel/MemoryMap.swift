internal import LinuxABI

/// One mapping of an address space.
package struct MemoryMap: Equatable, Sendable {
    /// First address.
    package var start: UInt64
    /// First address behind it.
    package var end: UInt64
    package var protection: MemoryProtection
    package var isShared: Bool
    /// Bytes into the file.
    package var offset: UInt64
    /// As `st_dev`; 0 for memory without a file.
    package var device: UInt64
    /// 0 for memory without a file.
    package var inode: UInt64
    /// The file's path as seen from the reader's root, or a name in brackets such as `[heap]`, `[vdso]`,
    /// `[anon:name]`; empty for plain anonymous memory. Shared anonymous memory is called `/dev/zero`,
    /// System V memory `/SYSV` and the key, a memfd `/memfd:name`; these three are always ``isDeleted``.
    ///
    /// A line end in it is `\012` in the text, and is undone: see ``isPathAmbiguous``.
    package var path: [UInt8]
    /// The text ends in ` (deleted)`, which is not part of ``path``. For shared anonymous memory, System V memory
    /// and memfds this is certain. A file's name can end like this itself: ``certainPath(of:)`` decides.
    package var isDeleted: Bool
    /// The text holds `\012`: the name has a line end there, or a backslash and these digits.
    /// ``certainPath(of:)`` decides.
    package var isPathAmbiguous = false

    // From here on: smaps only.

    package var flags: MappingFlags = []
    /// Names under `VmFlags:` that ``MappingFlags`` does not have: what they mean is not
    /// known, so a mapping with one of them cannot be saved.
    package var unknownFlags: [String] = []
    /// Page size that backs it, bytes; more than the machine's for hugetlb.
    package var pageSize: UInt64 = 0
    /// Bytes in memory, of these not from a file, and bytes swapped out.
    package var resident: UInt64 = 0
    package var anonymous: UInt64 = 0
    package var swapped: UInt64 = 0
    /// Zero where it is not shown.
    package var protectionKey: UInt32 = 0

    package var length: UInt64 { end - start }
    /// Its pages come from a file: such a page needs saving only where the task changed it.
    ///
    /// The first segment of System V memory has inode 0, on a device that is not 0.
    package var isFileBacked: Bool { inode != 0 || device != 0 }

    /// Memory of its own from the pool of huge pages (MAP_HUGETLB with MAP_ANONYMOUS): the kernel makes a file for each. Smaps only.
    package var isAnonymousFromPool: Bool { flags.contains(.hugeTLB) && isDeleted && path.elementsEqual("/anon_hugepage".utf8) }
}

/// `PROT_*` bits.
package struct MemoryProtection: OptionSet, Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let read = Self(rawValue: UInt32(Protection.PROT_READ))
    package static let write = Self(rawValue: UInt32(Protection.PROT_WRITE))
    package static let execute = Self(rawValue: UInt32(Protection.PROT_EXEC))
}

extension MemoryMap {
    /// Reads `/proc/PID/smaps`: everything, at the price of a walk over the page tables.
    ///
    /// - If the process is gone: throws `ENOENT` or `ESRCH`; a zombie has no mappings.
    package static func detailed(of pid: Int32) throws(SystemError) -> [MemoryMap] {
        return try parse(smaps: try ProcText.smaps(of: pid))
    }

    /// Reads `/proc/PID/maps`: no flags and no sums.
    package static func plain(of pid: Int32) throws(SystemError) -> [MemoryMap] {
        try FaultPoint.procMaps.pass("read /proc/\(pid)/maps")
        return try parse(maps: try readKernelText("/proc/\(pid)/maps", capacity: 1 << 13))
    }

    package static func parse(maps text: [UInt8]) throws(SystemError) -> [MemoryMap] {
        var maps: [MemoryMap] = []
        var cursor = ByteCursor(text)
        while !cursor.isAtEnd { maps.append(try MemoryMap(line: &cursor)) }
        return maps
    }

    package static func parse(smaps text: [UInt8]) throws(SystemError) -> [MemoryMap] {
        var maps: [MemoryMap] = []
        var cursor = ByteCursor(text)
        while !cursor.isAtEnd {
            var map = try MemoryMap(line: &cursor)
            // Names of values begin with a capital letter, the next mapping with a small digit.
            while cursor.next &- UInt8(ascii: "A") < 26 {
                map.takeValue(&cursor)
                cursor.skipLine()
            }
            maps.append(map)
        }
        return maps
    }

    private init(line cursor: inout ByteCursor) throws(SystemError) {
        guard let start = cursor.hexadecimal(), cursor.skip(UInt8(ascii: "-")),
            let end = cursor.hexadecimal(),
            start < end, cursor.skip(.blank), cursor.position + 4 <= cursor.end
        else { throw malformed("maps") }
        var protection: MemoryProtection = []
        let at = cursor.position
        if cursor.bytes[at] == UInt8(ascii: "r") { protection.insert(.read) }
        if cursor.bytes[at + 1] == UInt8(ascii: "w") { protection.insert(.write) }
        if cursor.bytes[at + 2] == UInt8(ascii: "x") { protection.insert(.execute) }
        let isShared = cursor.bytes[at + 3] == UInt8(ascii: "s")
        cursor.position += 4
        guard let offset = cursor.hexadecimal(), let major = cursor.hexadecimal(), cursor.skip(.colon),
            let minor = cursor.hexadecimal(), let inode = cursor.decimal()
        else { throw malformed("maps at \(hex(start))") }
        cursor.skipBlanks()
        var path = cursor.restOfLine()
        let suffix = KernelPath.deletedSuffix
        let isDeleted =
            path.count >= suffix.count && path.suffix(suffix.count).elementsEqual(suffix)
        if isDeleted { path = path.dropLast(suffix.count) }
        self.init(
            start: start, end: end, protection: protection, isShared: isShared, offset: offset,
            device: deviceNumber(major: major, minor: minor), inode: inode, path: unescapingLineEnds(path),
            isDeleted: isDeleted)
        isPathAmbiguous = self.path.contains(.newline)
    }

    private mutating func takeValue(_ cursor: inout ByteCursor) {
        switch cursor.key() {
        case key("Rss"): resident = (cursor.decimal() ?? 0) << 10
        case key("Anonymous"): anonymous = (cursor.decimal() ?? 0) << 10
        case key("Swap"): swapped = (cursor.decimal() ?? 0) << 10
        case key("KernelPageSize"): pageSize = (cursor.decimal() ?? 0) << 10
        case key("ProtectionKey"): protectionKey = UInt32(truncatingIfNeeded: cursor.decimal() ?? 0)
        case key("VmFlags"):
            while true {
                cursor.skipBlanks()
                let start = cursor.position
                cursor.skipWord()
                let length = cursor.position - start
                if length == 0 { return }
                if length == 2, let flag = MappingFlags.named(cursor.bytes[start], cursor.bytes[start + 1]) {
                    flags.insert(flag)
                } else {
                    unknownFlags.append(
                        String(decoding: cursor.bytes[start..<cursor.position], as: UTF8.self))
                }
            }
        default: break
        }
    }
}

/// A device number as `st_dev` and `st_rdev` hold it.
///
/// - Source: makedev(3); glibc sysdeps/unix/sysv/linux/makedev.c.
package func deviceNumber(major: UInt64, minor: UInt64) -> UInt64 {
    (major & 0xfff) << 8 | (major & ~0xfff) << 32 | (minor & 0xff) | (minor & ~0xff) << 12
}

/// `0x` and digits, as errors name addresses.
func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
