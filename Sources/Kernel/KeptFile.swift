internal import CKernel
internal import Glibc
internal import LinuxABI

/// A small file in which this user keeps for the next start what was learned from the running kernel, or where something is found.
///
/// It is believed only where this user alone can have written it: directory and file belong to the effective user, are
/// writable for no other, and the file has one name. It is never there half: it gets its name when it is whole, and a
/// process that dies before leaves nothing (open(2), O_TMPFILE).
struct KeptFile {
    /// Bytes of the longest one.
    private static let longest = 1 << 16
    private static let rootDirectory = "/run/treerestore"

    let directory: String
    let name: String

    /// `/run/treerestore` for root, the user's cache for others. Nil where the environment is not the user's own (a program
    /// that got capabilities or another user by being started: `AT_SECURE`), and where no directory is named.
    static func ofUser(_ name: String) -> KeptFile? {
        if geteuid() == 0 { return KeptFile(directory: rootDirectory, name: name) }
        guard hasOwnEnvironment else { return nil }
        for (variable, below) in [("XDG_CACHE_HOME", "/treerestore"), ("HOME", "/.cache/treerestore")] {
            // Ended by a zero byte; nothing changes the environment.
            guard let value = unsafe getenv(variable) else { continue }
            let base = unsafe String(cString: value)
            if base.hasPrefix("/") { return KeptFile(directory: base + below, name: name) }
        }
        return nil
    }

    /// The same for what is of no use after the next start of the host: `/run/treerestore` for root, for others a directory in
    /// `$XDG_RUNTIME_DIR`, or one of their own in `/tmp`.
    static func untilReboot(_ name: String) -> KeptFile? {
        if geteuid() == 0 { return KeptFile(directory: rootDirectory, name: name) }
        guard hasOwnEnvironment else { return nil }
        // Ended by a zero byte; nothing changes the environment.
        let base = unsafe getenv("XDG_RUNTIME_DIR").map { unsafe String(cString: $0) } ?? ""
        return KeptFile(directory: base.hasPrefix("/") ? base + "/treerestore" : "/tmp/treerestore-\(geteuid())", name: name)
    }

    private static var hasOwnEnvironment: Bool {
        let secure: UInt64 = 23  // AT_SECURE
        return ckernel_auxiliary_value(secure) == 0
    }

    /// Whether a file or directory can have been written by `user` alone.
    static func isTrusted(_ status: FileStatus, _ kind: FileStatus.Kind, of user: UInt32) -> Bool {
        let othersMayWrite: UInt32 = 0o022
        guard status.kind == kind, status.owner == user, status.mode & othersMayWrite == 0 else { return false }
        return kind == .directory || status.linkCount == 1 && status.size <= Int64(longest)
    }

    /// What it holds; nil where there is none, or none that can be believed.
    func read() -> [UInt8]? {
        guard let place = openDirectory(), let file = try? Descriptor.open(path(in: place), O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
            let status = try? FileStatus(of: file), Self.isTrusted(status, .regular, of: geteuid())
        else { return nil }
        return try? readBytes(file.number, upTo: Self.longest, at: 0)
    }

    /// Puts it in the place of what was there. That may fail: then the next start learns anew.
    @inline(never)
    func write(_ bytes: [UInt8]) {
        _ = withPath(directory) { ckernel_syscall(Int(SYS_mkdirat), Int(AT_FDCWD), $0, 0o700, 0, 0, 0) }
        guard bytes.count <= Self.longest, let place = openDirectory(),
            let file = try? Descriptor.open(
                "/proc/self/fd/\(place.number)", O_WRONLY | Int32(OpenFlag.O_TMPFILE), mode: 0o600)
        else { return }
        // Not by the wrapper that images are written with: no fault that is meant for them may happen here.
        let written = unsafe bytes.withUnsafeBytes { buffer in
            ckernel_syscall(Int(SYS_write), Int(file.number), Int(bitPattern: buffer.baseAddress), buffer.count, 0, 0, 0)
        }
        guard written == bytes.count else { return }
        _ = withPath(path(in: place)) { target in
            _ = ckernel_syscall(Int(SYS_unlinkat), Int(AT_FDCWD), target, 0, 0, 0, 0)
            return withPath("/proc/self/fd/\(file.number)") { source in
                ckernel_syscall(
                    Int(SYS_linkat), Int(AT_FDCWD), source, Int(AT_FDCWD), target, Int(At.AT_SYMLINK_FOLLOW), 0)
            }
        }
    }

    func remove() {
        guard let place = openDirectory() else { return }
        _ = withPath(path(in: place)) { ckernel_syscall(Int(SYS_unlinkat), Int(AT_FDCWD), $0, 0, 0, 0, 0) }
    }

    /// The names that there are in its directory; none where that cannot be believed.
    func neighbours() -> [String] {
        guard let place = openDirectory(), let names = try? entryNames(of: "/proc/self/fd/\(place.number)") else { return [] }
        return names.map { String(decoding: $0, as: UTF8.self) }
    }

    private func path(in place: borrowing Descriptor) -> String { "/proc/self/fd/\(place.number)/\(name)" }

    private func openDirectory() -> Descriptor? {
        guard let place = try? Descriptor.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
            let status = try? FileStatus(of: place), Self.isTrusted(status, .directory, of: geteuid())
        else { return nil }
        return place
    }
}
