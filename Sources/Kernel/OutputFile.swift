internal import CKernel
internal import Glibc
internal import LinuxABI

/// Where an image is written: aside, without a name, until `commit` gives it one; or a stream.
///
/// If the process dies before, nothing is left: the file has no name yet (open(2), O_TMPFILE). On file systems without such
/// files it is written under a name that starts with a dot and ends in `.partial`, and is removed on failure; so it is for
/// a moment when it takes the place of an older image. What a killed process left under such a name goes with the next
/// image of that name (``removeLeftovers()``).
package final class OutputFile {
    package let name: String
    package let isStream: Bool
    let path: String
    let directory: String
    let force: Bool
    let descriptor: Int32
    /// What the image will replace, as it was before the first byte was written.
    let former: FileStatus?
    /// The name it has meanwhile; nil: none.
    var temporary: String?
    private var isCommitted = false

    /// Bytes in, the bytes to write in their place out; there may be none yet.
    package typealias Filter = ([UInt8]) throws(SystemError) -> [UInt8]
    /// What changes all that is written, e.g. encrypts it; nil: nothing does.
    package var filter: Filter?

    /// - Errors: `EBADF`: standard output was closed when this process started.
    package init(standardOutput: ()) throws(SystemError) {
        if StandardDescriptors.wasClosed(1) { throw SystemError(EBADF, in: "standard output is closed") }
        name = "(standard output)"
        isStream = true
        path = ""
        directory = ""
        force = false
        descriptor = 1
        former = nil
    }

    /// - Errors: `EEXIST` where there is something at the path, unless it is a regular file and `force` is set; `EISDIR`;
    ///   `ENOENT` where the directory is missing. `call` then says what the matter is.
    package init(path: String, force: Bool) throws(SystemError) {
        name = path
        isStream = false
        self.path = path
        self.force = force
        var parent = "."
        if let slash = path.lastIndex(of: "/") { parent = slash == path.startIndex ? "/" : String(path[..<slash]) }
        directory = parent
        former = try Self.former(at: path, force: force)
        try FaultPoint.createImage.pass("open \(path)")
        do throws(SystemError) {
            descriptor = try Descriptor.open(parent, O_RDWR | Int32(OpenFlag.O_TMPFILE), mode: 0o600).release()
        } catch {
            guard error.number == EOPNOTSUPP || error.number == EISDIR || error.number == EINVAL else {
                throw error.number == ENOENT ? SystemError(ENOENT, in: "the directory does not exist") : error
            }
            let aside = PartialName.new(for: path, in: parent)
            descriptor = try Descriptor.open(aside, O_RDWR | O_CREAT | O_EXCL, mode: 0o600).release()
            temporary = aside
        }
        // Tells other writers that a name belongs to a file that is still being written.
        _ = FileLock.take(descriptor)
    }

    deinit {
        if !isStream { _ = close(descriptor) }
        if !isCommitted, let temporary { _ = unsafe unlink(temporary) }
    }

    /// What is replaced: nothing, or a regular file. Anything else of that name is not an image, and its owner would miss it.
    private static func former(at path: String, force: Bool) throws(SystemError) -> FileStatus? {
        guard let status = try? FileStatus(of: path, followingLinks: false) else { return nil }
        let only = ": an image replaces regular files only"
        switch status.kind {
        case .regular: if force { return status } else { throw SystemError(EEXIST, in: "the file is there already; --force replaces it") }
        case .directory: throw SystemError(EISDIR, in: "it is a directory")
        case .link: throw SystemError(EEXIST, in: "it is a symbolic link" + only + "; name the file that it leads to, or -o - for standard output")
        case .characterDevice, .blockDevice: throw SystemError(EEXIST, in: "it is a device" + only + "; -o - writes to standard output")
        case .pipe: throw SystemError(EEXIST, in: "it is a named pipe" + only + "; -o - > PIPE writes into it")
        case .socket, .anonymous: throw SystemError(EEXIST, in: "it is not a regular file" + only)
        }
    }

    /// For `PageWriter`.
    package var descriptorNumber: Int32 { descriptor }

    /// Whether what was written can be kept for sure: a file, also one that is standard output.
    package var isRegularFile: Bool { !isStream || (try? FileStatus(ofNumber: descriptor))?.kind == .regular }

    /// Whether this takes the place of an open file of this process.
    package func replaces(_ number: Int32) -> Bool {
        guard let former, let status = try? FileStatus(ofNumber: number) else { return false }
        return status.isSameFile(as: former)
    }

    /// By which the file can be opened while this value lives, whether it has a name or not.
    package var ownPath: String { "/proc/self/fd/\(descriptor)" }

    package func write(_ bytes: [UInt8]) throws(SystemError) { try put(filter?(bytes) ?? bytes) }

    /// Writes bytes past the filter: its last ones.
    package func put(_ bytes: [UInt8]) throws(SystemError) {
        try FaultPoint.writeImage.pass("write")
        let file = Descriptor(owning: descriptor)
        do throws(SystemError) { try file.write(bytes) } catch {
            _ = file.release()
            throw error
        }
        _ = file.release()
    }

    /// Makes what was written durable; nothing to do for a pipe.
    package func sync() throws(SystemError) {
        guard isRegularFile else { return }
        try FaultPoint.syncImage.pass("fsync")
        try Self.sync(descriptor)
    }

    /// Gives the image its name and makes that durable. `sync` comes before.
    ///
    /// - Errors: `EEXIST` where the file at the path is not the one that was there when this began: another checkpoint may have
    ///   made it, whose tree has ended. It is left as it is, and this image is gone.
    package func commit() throws(SystemError) {
        if isStream { return }
        try DirectoryLock.with(directory) { () throws(SystemError) in
            if let former { try replace(former, at: path) } else { try name(path) }
        }
        isCommitted = true
        temporary = nil
        do throws(SystemError) { try syncDirectory() } catch {
            // Nothing tells whether the name would outlive a crash of the host. An image in place of an older one stays: that one is gone.
            if former == nil { takeNameBack() }
            throw error
        }
    }

    private func syncDirectory() throws(SystemError) {
        try FaultPoint.syncDirectory.pass("fsync")
        let parent = try Descriptor.open(directory, O_RDONLY | O_DIRECTORY).release()
        defer { DescriptorTable.close(parent) }
        try Self.sync(parent)
    }

    /// Keeps an image that shall not replace a better one: under its own name where that is free, else with `.refused` behind it,
    /// in place of an earlier one like it.
    ///
    /// - Returns: the name.
    package func commitBeside() throws(SystemError) -> String {
        if isStream { return name }
        if former == nil {
            try commit()
            return path
        }
        let beside = path + ".refused"
        if let old = try? FileStatus(of: beside, followingLinks: false) { try replace(old, at: beside) } else { try name(beside) }
        isCommitted = true
        temporary = nil
        return beside
    }

    @inline(never)
    private static func sync(_ number: Int32) throws(SystemError) {
        _ = try SystemError.check(ckernel_syscall(Int(SYS_fsync), Int(number), 0, 0, 0, 0, 0), "fsync")
    }
}
