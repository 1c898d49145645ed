internal import CKernel
internal import Glibc
internal import LinuxABI

package enum Terminal {
    package static func isTerminal(_ number: Int32) -> Bool { isatty(number) == 1 }

    /// Whether any process of this user can open the terminal behind a descriptor once more. `/dev/tty` cannot: what it
    /// opens is the controlling terminal of the process that opens it.
    package static func opensAnew(_ number: Int32) -> Bool {
        guard let status = try? FileStatus(of: "/proc/self/fd/\(number)"),
            status.specialDevice.majorNumber != DeviceMajor.TTYAUX_MAJOR || status.specialDevice.minorNumber != 0
        else { return false }
        return (try? Descriptor.open("/proc/self/fd/\(number)", O_RDWR | O_NOCTTY)) != nil
    }
}

extension Descriptor {
    /// A file that lines are added to; made where it is missing.
    package static func openForAppending(_ path: String) throws(SystemError) -> Descriptor {
        try open(path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
    }
}

/// Small text files, e.g. of a pid or a status.
package enum TextFile {
    /// Finds out whether the file can be written. A missing file is created for that and removed again.
    package static func check(_ path: String) throws(SystemError) {
        let isThere = (try? FileStatus(of: path)) != nil
        _ = try Descriptor.open(path, O_WRONLY | O_CREAT, mode: 0o644)
        if !isThere { _ = unsafe unlink(path) }
    }

    /// Writes the whole file, in place of an old one.
    package static func write(_ path: String, _ text: String) throws(SystemError) {
        let file = try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
        try file.write(Array(text.utf8))
    }
}

extension TextFile {
    /// Writes the whole file so that a reader finds the old or the new text, whatever happens meanwhile, also after a loss of
    /// power.
    package static func replace(_ path: String, _ text: String) throws(SystemError) {
        let beside = path + ".new"
        let file = try Descriptor.open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
        try file.write(Array(text.utf8))
        _ = try SystemError.check(ckernel_syscall(Int(SYS_fsync), Int(file.number), 0, 0, 0, 0, 0), "fsync")
        if unsafe rename(beside, path) != 0 { throw SystemError(errno, in: "rename") }
    }
}
