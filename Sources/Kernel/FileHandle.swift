internal import CKernel
internal import Glibc
internal import LinuxABI

/// By what a file system finds one of its files, whatever the names of that are.
///
/// - Source: open_by_handle_at(2).
package struct FileHandle: Equatable, Sendable {
    package var type: Int32
    package var bytes: [UInt8]

    package init(type: Int32, bytes: [UInt8]) {
        self.type = type
        self.bytes = bytes
    }

    /// Nil: the digits are not those of `count` bytes.
    init?(type: Int32, hexadecimal digits: ArraySlice<UInt8>, count: UInt64) {
        // Source: linux/exportfs.h, MAX_HANDLE_SZ.
        guard count > 0, count <= 128, digits.count >= Int(count) * 2 else { return nil }
        var bytes: [UInt8] = []
        var cursor = digits.startIndex
        for _ in 0..<count {
            guard let high = Self.digit(digits[cursor]), let low = Self.digit(digits[cursor + 1]) else { return nil }
            bytes.append(high << 4 | low)
            cursor += 2
        }
        self.init(type: type, bytes: bytes)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }

    /// Opens the file by O_PATH, which has no effect on it.
    ///
    /// - Parameter mount: any open file of the file system.
    /// - Throws: `ESTALE`: there is no such file any more; `EPERM` without CAP_DAC_READ_SEARCH; `EOPNOTSUPP`.
    @inline(never)
    package borrowing func open(on mount: borrowing Descriptor) throws(SystemError) -> Descriptor {
        // struct file_handle: bytes, type, handle
        var handle: [UInt8] = []
        for word in [UInt32(bytes.count), UInt32(bitPattern: type)] {
            for shift in [0, 8, 16, 24] as [UInt32] { handle.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        handle += bytes
        let number = Int(mount.number)
        // In bounds: the kernel reads as many bytes as the structure says it has.
        let opened = unsafe handle.withUnsafeBytes { text in
            ckernel_syscall(
                Int(SYS_open_by_handle_at), number, Int(bitPattern: text.baseAddress), Int(OpenFlag.O_PATH | OpenFlag.O_CLOEXEC), 0, 0, 0)
        }
        return Descriptor(owning: Int32(try SystemError.check(opened, "open_by_handle_at")))
    }
}

/// A file that was found by its handle.
package struct HandledFile: Sendable {
    /// A name by which the kernel knows it; it need not lead there from this process's root directory.
    package var path: [UInt8]
    package var status: FileStatus

    /// Looks for a file of the file system with this device number, through each mount of it that a process sees.
    ///
    /// - Returns: for each mount through which the file has been found, a name.
    package static func find(_ handle: FileHandle, major: UInt64, minor: UInt64, asSeenBy pid: Int32) -> [HandledFile] {
        guard let mounts = try? ProcText.mounts(of: pid) else { return [] }
        var found: [HandledFile] = []
        for point in MountTable.mountPoints(major: major, minor: minor, in: mounts).reversed() where found.count < 8 {
            let path = Array("/proc/\(pid)/root".utf8) + point
            guard let mount = try? Descriptor.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY), let file = try? handle.open(on: mount),
                let status = try? FileStatus(of: file), let name = try? readLink("/proc/self/fd/\(file.number)")
            else { continue }
            found.append(HandledFile(path: name, status: status))
        }
        return found
    }
}
