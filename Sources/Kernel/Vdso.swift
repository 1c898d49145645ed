internal import CKernel
internal import Glibc
internal import LinuxABI

/// Where the kernel put its shared code and data in this process.
///
/// The parts lie side by side and move only together: `[vvar]`, `[vvar_vclock]` where there is one, `[vdso]`.
///
/// - Source: vdso(7); `AT_SYSINFO_EHDR` of getauxval(3).
package struct Vdso: Equatable, Sendable {
    /// First address of the data pages.
    package var dataStart: UInt64
    /// First address of the code: the ELF header.
    package var codeStart: UInt64
    /// First address behind the code.
    package var codeEnd: UInt64

    package var length: UInt64 { codeEnd - dataStart }
}

extension Vdso {
    /// Of this process; nil where it has none (`vdso=0`).
    package static func current() throws(SystemError) -> Vdso? {
        let header = ckernel_auxiliary_value(AuxiliaryVector.AT_SYSINFO_EHDR)
        return header == 0 ? nil : find(in: try MemoryMap.plain(of: getpid()), codeAt: header)
    }

    /// Of another process: the mappings say it.
    package static func find(in maps: [MemoryMap], codeAt header: UInt64? = nil) -> Vdso? {
        guard
            let code = maps.firstIndex(where: { map in
                header.map { $0 == map.start } ?? map.path.elementsEqual("[vdso]".utf8)
            })
        else { return nil }
        var vdso = Vdso(dataStart: maps[code].start, codeStart: maps[code].start, codeEnd: maps[code].end)
        for map in maps[..<code].reversed() {
            guard map.end == vdso.dataStart, map.path.starts(with: "[vvar".utf8) else { break }
            vdso.dataStart = map.start
        }
        return vdso
    }

    /// The code of this process, to compare with an image's. The header's address must be ``current()``'s.
    package func codeBytes() -> [UInt8] {
        guard codeStart == ckernel_auxiliary_value(AuxiliaryVector.AT_SYSINFO_EHDR), codeEnd > codeStart,
            let start = unsafe UnsafeRawPointer(bitPattern: UInt(codeStart))
        else { return [] }
        // Readable: the mapping is the kernel's own, of this process (compared above), and never unmapped.
        return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: Int(codeEnd - codeStart)))
    }
}
