internal import CKernel
internal import Glibc
internal import LinuxABI

/// One mapping of a task, by an address in it: without the text about all of them.
package struct MappingQuery {
    /// Its addresses.
    package let range: Range<UInt64>
    package let isWritable: Bool
    /// As in `/proc/PID/maps`: a path, or a name in brackets; no more than its first bytes.
    package let name: [UInt8]

    private static let nameRoom = 512

    /// - Errors: `ENOENT`: nothing is mapped there; `ENOTTY`: before Linux 6.11.
    /// - Source: linux/fs.h, `struct procmap_query`: 13 words of 8 bytes.
    package init(at address: UInt64, of task: Int32) throws(SystemError) {
        try FaultPoint.procMaps.pass("ioctl(PROCMAP_QUERY)")
        let file = try Descriptor.open("/proc/\(task)/maps")
        var words = [UInt64](repeating: 0, count: 13)
        var name = [UInt8](repeating: 0, count: Self.nameRoom)
        // The kernel writes the words, whose size is told, and at most `nameRoom` bytes of the name, whose end is a zero.
        let result = unsafe name.withUnsafeMutableBytes { name in
            unsafe words.withUnsafeMutableBytes { words in
                unsafe words.storeBytes(of: UInt64(words.count), toByteOffset: 0, as: UInt64.self)
                unsafe words.storeBytes(of: address, toByteOffset: 16, as: UInt64.self)
                unsafe words.storeBytes(of: UInt32(name.count), toByteOffset: 80, as: UInt32.self)
                unsafe words.storeBytes(of: UInt64(UInt(bitPattern: name.baseAddress)), toByteOffset: 88, as: UInt64.self)
                return unsafe ckernel_syscall(
                    Int(SYS_ioctl), Int(file.number), Int(Ioctl.PROCMAP_QUERY), Int(bitPattern: words.baseAddress), 0, 0, 0)
            }
        }
        // ENAMETOOLONG: a longer name: it is none in brackets.
        if result != -Int(ENAMETOOLONG) { _ = try SystemError.check(result, "ioctl(PROCMAP_QUERY)") }
        range = words[3] < words[4] ? words[3]..<words[4] : address..<address + 1
        isWritable = words[5] & Ioctl.PROCMAP_QUERY_VMA_WRITABLE != 0
        self.name = Array(name.prefix { $0 != 0 })
    }
}
