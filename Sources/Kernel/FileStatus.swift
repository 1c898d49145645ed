internal import CKernel
internal import Glibc
internal import LinuxABI

/// What stat(2) says about a file.
package struct FileStatus: Equatable, Codable, Sendable {
    package var device: UInt64
    package var inode: UInt64
    /// Type and permissions.
    package var mode: UInt32
    /// Names it has; 0: unlinked.
    package var linkCount: UInt64
    package var owner: UInt32
    package var group: UInt32
    /// Device that a special file stands for.
    package var specialDevice: UInt64
    /// Bytes.
    package var size: Int64
    /// Nanoseconds since 1970.
    package var modificationTime: Int64
    /// When it was last read, likewise. Nil in recordings that do not have it.
    package var accessTime: Int64? = nil

    package enum Kind: Equatable, Sendable {
        case regular, directory, characterDevice, blockDevice, pipe, socket, link
        /// Not a file of a file system: eventfd, epoll, ...
        case anonymous
    }

    package var kind: Kind {
        switch mode & FileMode.S_IFMT {
        case FileMode.S_IFREG: .regular
        case FileMode.S_IFDIR: .directory
        case FileMode.S_IFCHR: .characterDevice
        case FileMode.S_IFBLK: .blockDevice
        case FileMode.S_IFIFO: .pipe
        case FileMode.S_IFSOCK: .socket
        case FileMode.S_IFLNK: .link
        default: .anonymous
        }
    }

    /// Same file as `other`, whatever its size now.
    package func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
}

extension FileStatus {
    /// Of the file that `path` names; of a link itself without `followingLinks`.
    package init(of path: String, followingLinks: Bool = true) throws(SystemError) {
        try self.init(of: Array(path.utf8), followingLinks: followingLinks)
    }

    /// The same with a path of any bytes.
    package init(of path: [UInt8], followingLinks: Bool = true) throws(SystemError) {
        let flags = followingLinks ? 0 : Int32(At.AT_SYMLINK_NOFOLLOW)
        try self.init(directory: AT_FDCWD, path, flags: flags, subject: printable(path))
    }

    /// Of an open file.
    package init(of descriptor: borrowing Descriptor) throws(SystemError) {
        try self.init(ofNumber: descriptor.number)
    }

    /// Of an open file of this process.
    package init(ofNumber number: Int32) throws(SystemError) {
        try self.init(directory: number, [], flags: Int32(At.AT_EMPTY_PATH), subject: "descriptor \(number)")
    }

    /// Of an open file of another process, which is not opened for it.
    package init(ofDescriptor number: Int32, of pid: Int32) throws(SystemError) {
        try self.init(of: "/proc/\(pid)/fd/\(number)")
    }

    @inline(never)
    private init(directory: Int32, _ path: [UInt8], flags: Int32, subject: @autoclosure () -> String)
        throws(SystemError)
    {
        try FaultPoint.fileStatus.pass("stat \(subject())")
        var status = stat()
        let result = withPath(path) { text in
            // Ended by a zero byte, see `withPath`.
            unsafe Int(ckernel_fstatat(directory, UnsafePointer<CChar>(bitPattern: text), flags, &status))
        }
        _ = try SystemError.check(result, "stat \(subject())")
        self.init(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), mode: UInt32(status.st_mode),
            linkCount: UInt64(status.st_nlink), owner: status.st_uid, group: status.st_gid,
            specialDevice: UInt64(status.st_rdev), size: Int64(status.st_size),
            modificationTime: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec),
            accessTime: Int64(status.st_atim.tv_sec) * 1_000_000_000 + Int64(status.st_atim.tv_nsec))
    }
}
