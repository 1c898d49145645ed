internal import CKernel
internal import Glibc
internal import LinuxABI

/// Where an image is written: aside, without a name, until `commit` gives it one; or a stream.
///
/// If the process dies before, nothing is left: the file has no name yet (open(2), O_TMPFILE). On file
/// systems without such files it is written under a name that starts with a dot and is removed on failure.
package final class OutputFile {
    package let name: String
    package let isStream: Bool
    private let path: String
    private let directory: String
    private let force: Bool
    private let descriptor: Int32
    /// The name it has meanwhile; nil: none.
    private var temporary: String?
    private var committed = false

    package init(standardOutput: ()) {
        name = "(standard output)"
        isStream = true
        path = ""
        directory = ""
        force = false
        descriptor = 1
    }

    /// - Errors: `EEXIST` where the file is there already and `force` is not set; `ENOENT` where the
    ///   directory is missing.
    package init(path: String, force: Bool) throws(SystemError) {
        name = path
        isStream = false
        self.path = path
        self.force = force
        var parent = "."
        if let slash = path.lastIndex(of: "/") { parent = slash == path.startIndex ? "/" : String(path[..<slash]) }
        directory = parent
        if let status = try? FileStatus(of: path) {
            if status.kind == .directory { throw SystemError(EISDIR, in: "it is a directory") }
            if !force { throw SystemError(EEXIST, in: "open") }
        }
        try FaultPoint.createImage.pass("open \(path)")
        do throws(SystemError) {
            descriptor = try Descriptor.open(parent, O_WRONLY | Int32(OpenFlag.O_TMPFILE), mode: 0o600).release()
        } catch {
            guard error.number == EOPNOTSUPP || error.number == EISDIR || error.number == EINVAL else { throw error }
            let base = path.split(separator: "/").last.map(String.init) ?? "image"
            let aside = "\(parent)/.\(base).\(getpid()).partial"
            descriptor = try Descriptor.open(aside, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600).release()
            temporary = aside
        }
    }

    deinit {
        if !isStream { _ = close(descriptor) }
        if !committed, let temporary { _ = unsafe unlink(temporary) }
    }

    /// For `PageWriter`.
    package var descriptorNumber: Int32 { descriptor }

    package func write(_ bytes: [UInt8]) throws(SystemError) {
        try FaultPoint.writeImage.pass("write")
        let file = Descriptor(owning: descriptor)
        do throws(SystemError) { try file.write(bytes) } catch {
            _ = file.release()
            throw error
        }
        _ = file.release()
    }

    /// Makes the image durable and gives it its name, in this order: data, name, directory.
    ///
    /// - Errors: `EEXIST` where a file of this name was made meanwhile and `force` is not set.
    @inline(never)
    package func commit() throws(SystemError) {
        if isStream { return }
        try FaultPoint.syncImage.pass("fsync")
        _ = try SystemError.check(ckernel_syscall(Int(SYS_fsync), Int(descriptor), 0, 0, 0, 0, 0), "fsync")
        if temporary == nil {
            if !force {
                try link(to: path)
                committed = true
            } else {
                let aside = "\(directory)/.\(getpid()).\(SystemClock.monotonic.now()).partial"
                try link(to: aside)
                temporary = aside
            }
        }
        if let temporary {
            try FaultPoint.renameImage.pass("rename")
            let result = unsafe temporary.withCString { from in
                unsafe path.withCString { to in
                    ckernel_syscall(
                        Int(SYS_renameat2), Int(AT_FDCWD), Int(bitPattern: from), Int(AT_FDCWD),
                        Int(bitPattern: to), force ? 0 : Int(RenameFlag.RENAME_NOREPLACE), 0)
                }
            }
            _ = try SystemError.check(result, "rename")
            committed = true
        }
        try FaultPoint.syncDirectory.pass("fsync")
        let parent = try Descriptor.open(directory, O_RDONLY | O_DIRECTORY)
        _ = try SystemError.check(ckernel_syscall(Int(SYS_fsync), Int(parent.number), 0, 0, 0, 0, 0), "fsync")
    }

    private func link(to target: String) throws(SystemError) {
        try FaultPoint.linkImage.pass("link")
        let result = unsafe "/proc/self/fd/\(descriptor)".withCString { from in
            unsafe target.withCString { to in
                ckernel_syscall(
                    Int(SYS_linkat), Int(AT_FDCWD), Int(bitPattern: from), Int(AT_FDCWD), Int(bitPattern: to),
                    Int(At.AT_SYMLINK_FOLLOW), 0)
            }
        }
        _ = try SystemError.check(result, "link")
    }
}
