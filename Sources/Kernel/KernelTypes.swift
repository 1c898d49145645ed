internal import CKernel
internal import Glibc

/// Looks up layouts in the kernel's own type description.
///
/// Only what is asked for is decoded: names are compared by their offset in the string section, where each
/// stands once, so that the walk over some 150,000 types compares integers.
///
/// - Source: Documentation/bpf/btf.rst.
///
/// ```
/// header  u16 magic 0xeb9f, u8 version, u8 flags, u32 header length,
///         u32 type offset, u32 type length, u32 string offset, u32 string length
/// type    u32 name offset, u32 info (count 0..15, kind 24..28, flag 31), u32 size or type, then by kind:
///         member of struct and union: u32 name offset, u32 type, u32 bit offset (flag: only 0..23)
/// ```
struct KernelTypes {
    private let bytes: [UInt8]
    private let strings: Range<Int>
    /// Offset of each type by its number; type 0 is `void` and has no entry.
    private let offsets: [UInt32]

    enum Kind: UInt32 {
        case structure = 4
        case union = 5
        case typedef = 8
        case volatile = 9
        case const = 10
        case function = 12
    }

    static let path = "/sys/kernel/btf/vmlinux"

    /// The description of the running kernel.
    ///
    /// - Throws: `ENOENT` on kernels without it (`CONFIG_DEBUG_INFO_BTF`).
    static func ofRunningKernel() throws(SystemError) -> KernelTypes {
        let file = try Descriptor.open(path)
        if let bytes = mapped(file) { return try KernelTypes(bytes) }
        return try KernelTypes(readKernelText(file, capacity: 8 << 20))
    }

    /// A copy of the file, through a mapping: read(2) gives such a file in pieces of 4 KiB. Nil where the kernel does not let
    /// it be mapped (before Linux 6.16).
    @inline(never)
    private static func mapped(_ file: borrowing Descriptor) -> [UInt8]? {
        guard let size = (try? FileStatus(of: file)).map({ Int($0.size) }), size > 0,
            let start = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE, file.number, 0), unsafe start != MAP_FAILED
        else { return nil }
        // The mapping has `size` bytes, which nothing writes to, until it is removed here.
        defer { unsafe munmap(start, size) }
        return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: size))
    }

    init(_ bytes: [UInt8]) throws(SystemError) {
        self.bytes = bytes
        guard bytes.count >= 24, Self.word(bytes, 0) & 0xffff == 0xeb9f else { throw malformed("BTF header") }
        let header = Int(Self.word(bytes, 4))
        let types = header + Int(Self.word(bytes, 8))
        let typesEnd = types + Int(Self.word(bytes, 12))
        let strings = header + Int(Self.word(bytes, 16))
        let stringsEnd = strings + Int(Self.word(bytes, 20))
        guard typesEnd <= bytes.count, stringsEnd <= bytes.count else { throw malformed("BTF header") }
        self.strings = strings..<stringsEnd

        var offsets: [UInt32] = [0]
        offsets.reserveCapacity((typesEnd - types) / 20)
        var at = types
        while at + 12 <= typesEnd {
            offsets.append(UInt32(truncatingIfNeeded: at))
            let info = Self.word(bytes, at + 4)
            let count = Int(info & 0xffff)
            at += 12
            switch info >> 24 & 0x1f {
            case 1, 14, 17: at += 4  // INT, VAR, DECL_TAG
            case 3: at += 12  // ARRAY
            case 4, 5: at += count * 12  // STRUCT, UNION
            case 6, 13: at += count * 8  // ENUM, FUNC_PROTO
            case 15, 19: at += count * 12  // DATASEC, ENUM64
            default: break
            }
        }
        self.offsets = offsets
    }

    /// The number of the type or function with this name.
    func find(_ name: String, _ kind: Kind) throws(SystemError) -> Int {
        guard let nameOffset = stringOffset(name) else { throw malformed("BTF: no \(name)") }
        for type in 1..<offsets.count {
            let at = Int(offsets[type])
            if Self.word(bytes, at) == nameOffset, Self.word(bytes, at + 4) >> 24 & 0x1f == kind.rawValue {
                return type
            }
        }
        throw malformed("BTF: no \(name)")
    }

    /// A member found by names such as `nanosleep.clockid`; unnamed structures and unions are looked into.
    ///
    /// - Returns: its offset in bytes from the beginning of `type`, and the number of its type.
    func member(_ path: String, of type: Int) throws(SystemError) -> (offset: Int, type: Int) {
        guard let found = optionalMember(path, of: type) else { throw malformed("BTF: no member \(path)") }
        return found
    }

    func optionalMember(_ path: String, of type: Int) -> (offset: Int, type: Int)? {
        var result = (offset: 0, type: type)
        for name in path.split(separator: ".") {
            guard let nameOffset = stringOffset(String(name)),
                let step = directMember(nameOffset, of: resolved(result.type), depth: 0)
            else { return nil }
            result = (result.offset + step.offset, step.type)
        }
        return result
    }

    /// Bytes of a structure.
    func size(of type: Int) -> Int {
        let at = Int(offsets[resolved(type)])
        return at == 0 ? 0 : Int(Self.word(bytes, at + 8))
    }

    private func directMember(_ nameOffset: UInt32, of type: Int, depth: Int) -> (offset: Int, type: Int)? {
        guard type > 0, type < offsets.count, depth < 8 else { return nil }
        let at = Int(offsets[type])
        let info = Self.word(bytes, at + 4)
        let kind = info >> 24 & 0x1f
        guard kind == Kind.structure.rawValue || kind == Kind.union.rawValue else { return nil }
        for index in 0..<Int(info & 0xffff) {
            let member = at + 12 + index * 12
            let bits = Self.word(bytes, member + 8)
            let offset = Int(info >> 31 != 0 ? bits & 0xff_ffff : bits) / 8
            let name = Self.word(bytes, member)
            let memberType = Int(Self.word(bytes, member + 4))
            if name == nameOffset { return (offset, memberType) }
            // The empty name is the first byte of the strings.
            if name == 0, let inner = directMember(nameOffset, of: resolved(memberType), depth: depth + 1) {
                return (offset + inner.offset, inner.type)
            }
        }
        return nil
    }

    /// The type behind typedefs and qualifiers.
    private func resolved(_ type: Int) -> Int {
        var type = type
        for _ in 0..<16 {
            guard type > 0, type < offsets.count else { return 0 }
            let at = Int(offsets[type])
            switch Self.word(bytes, at + 4) >> 24 & 0x1f {
            case Kind.typedef.rawValue, Kind.volatile.rawValue, Kind.const.rawValue:
                type = Int(Self.word(bytes, at + 8))
            default: return type
            }
        }
        return 0
    }

    /// Where a name stands in the string section.
    private func stringOffset(_ name: String) -> UInt32? {
        let needle = [0] + Array(name.utf8) + [0]
        let area = strings
        // In bounds: `strings` was compared with the size of `bytes`, which never changes.
        let found = unsafe bytes.withUnsafeBytes { buffer in
            unsafe ckernel_find(buffer.baseAddress! + area.lowerBound, area.count, needle, needle.count)
        }
        return found < 0 ? nil : UInt32(found + 1)
    }

    /// Little-endian; 0 behind the end.
    @inline(__always)
    private static func word(_ bytes: [UInt8], _ at: Int) -> UInt32 {
        guard at >= 0, at + 4 <= bytes.count else { return 0 }
        // In bounds by the line above; any four bytes make a number.
        return unsafe bytes.span.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: at, as: UInt32.self)
    }
}
