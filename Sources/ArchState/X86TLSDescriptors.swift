/// The three TLS descriptors of a thread: entries 12...14 of its GDT, set by `set_thread_area`.
package struct X86TLSDescriptors: Equatable, Sendable {
    /// A 32-bit data segment, or an empty entry.
    package struct Descriptor: Equatable, Sendable {
        package var base: UInt32
        /// 20 bits, in bytes or pages.
        package var limit: UInt32
        /// As in `struct user_desc`: bit 0 seg_32bit, 1-2 contents, 3 read_exec_only, 4 limit_in_pages,
        /// 5 seg_not_present, 6 useable.
        package var flags: UInt32

        package init(base: UInt32 = 0, limit: UInt32 = 0, flags: UInt32 = 0) {
            self.base = base
            self.limit = limit
            self.flags = flags
        }

        /// `LDT_empty` of the kernel is all zero but for read_exec_only and seg_not_present.
        package var isEmpty: Bool { self == Descriptor() }
    }

    /// Always three.
    package var descriptors: [Descriptor]

    package init(_ descriptors: [Descriptor] = [Descriptor(), Descriptor(), Descriptor()]) {
        self.descriptors = descriptors
    }

    package var isInitial: Bool { descriptors.allSatisfy(\.isEmpty) }
}

// MARK: - Register set

/// What `PTRACE_GETREGSET(NT_386_TLS)` gives: three `struct user_desc` of 16 bytes
/// (u32 entry_number, base_addr, limit, flags). Source: arch/x86/kernel/tls.c.
extension X86TLSDescriptors {
    package static let registerSetSize = 48
    /// What the kernel calls empty: read_exec_only and seg_not_present.
    static let emptyFlags: UInt32 = 1 << 3 | 1 << 5

    package init(registerSet bytes: [UInt8]) throws(ArchStateError) {
        guard bytes.count == Self.registerSetSize else {
            throw ArchStateError(.registerSetSize, in: .x86Segments, detail: "\(bytes.count) bytes, not 48")
        }
        descriptors = []
        for index in 0..<3 {
            let offset = index * 16
            let entry = bytes.u32(at: offset)
            guard entry == UInt32(X86Segment.firstTLSEntry) + UInt32(index) else {
                throw ArchStateError(.registerSetHeader, in: .x86Segments, detail: "entry number \(entry)")
            }
            let descriptor = Descriptor(
                base: bytes.u32(at: offset + 4), limit: bytes.u32(at: offset + 8), flags: bytes.u32(at: offset + 12))
            let isEmpty = descriptor == Descriptor(flags: Self.emptyFlags)
            descriptors.append(isEmpty ? Descriptor() : descriptor)
        }
    }

    /// The bytes for `PTRACE_SETREGSET(NT_386_TLS)`.
    package var registerSet: [UInt8] {
        var bytes: [UInt8] = []
        for (index, descriptor) in descriptors.enumerated() {
            bytes.append(little: UInt32(X86Segment.firstTLSEntry) + UInt32(index))
            bytes.append(little: descriptor.base)
            bytes.append(little: descriptor.limit)
            bytes.append(little: descriptor.isEmpty ? Self.emptyFlags : descriptor.flags)
        }
        return bytes
    }
}

// MARK: - Record and rules

/// Record `x86Segments`, 40 bytes, little-endian, present if one of them is not empty:
///
///       0  u32  version = 1
///       4  3 x { u32 base, u32 limit, u32 flags }     flags: bit 0 seg_32bit,
///                                                     1-2 contents, 3 read_exec_only,
///                                                     4 limit_in_pages, 6 useable
///
/// Source: arch/x86/include/uapi/asm/ldt.h, `struct user_desc`.
extension X86TLSDescriptors {
    static let recordSize = 40

    var record: [UInt8] {
        var body = recordVersion
        for descriptor in descriptors {
            body.append(little: descriptor.base)
            body.append(little: descriptor.limit)
            body.append(little: descriptor.flags)
        }
        return body
    }

    init(record: [UInt8]) throws(ArchStateError) {
        var reader = try RecordReader(record, of: .x86Segments, size: Self.recordSize)
        descriptors = []
        for _ in 0..<3 {
            descriptors.append(Descriptor(base: reader.u32(), limit: reader.u32(), flags: reader.u32()))
        }
    }

    /// Source: arch/x86/kernel/tls.c, `tls_desc_okay`: 32-bit, data, present. The kernel itself sets
    /// privilege 3.
    func validate() throws(ArchStateError) {
        guard descriptors.count == 3 else { throw ArchStateError(.recordSize, in: .x86Segments) }
        for (index, descriptor) in descriptors.enumerated() where !descriptor.isEmpty {
            if descriptor.flags & ~0x7f != 0 || descriptor.limit > 0xfffff {
                throw ArchStateError(
                    .reservedBits, in: .x86Segments,
                    detail: "descriptor \(index): limit \(hex(descriptor.limit)), flags \(hex(descriptor.flags))")
            }
            let is32Bit = descriptor.flags & 1 != 0
            let contents = descriptor.flags >> 1 & 3
            let isAbsent = descriptor.flags & 1 << 5 != 0
            if !is32Bit || contents > 1 || isAbsent {
                throw ArchStateError(
                    .descriptor, in: .x86Segments, detail: "descriptor \(index): flags \(hex(descriptor.flags))")
            }
        }
        if isInitial { throw ArchStateError(.notInUse, in: .x86Segments) }
    }
}
