internal import CKernel
internal import Glibc
internal import LinuxABI

/// Looks into a pipe of another process without taking anything out of it.
///
/// - Source: pidfd_getfd(2), tee(2), poll(2), pipe(7).
package struct PipeLook: ~Copyable {
    private let end: Descriptor
    private let pid: Int32
    private let descriptor: Int32
    private let isReader: Bool
    /// Bytes it can hold (F_GETPIPE_SZ).
    package let capacity: UInt32
    /// Whether any process holds the other end; true for the end that was looked at.
    package let hasReader: Bool
    package let hasWriter: Bool

    /// - Parameters:
    ///   - descriptor: an end of the pipe in process `pid`.
    ///   - access: for what it is opened: O_RDONLY, O_WRONLY, O_RDWR.
    @inline(never)
    package init(of pid: Int32, descriptor: Int32, access: UInt32) throws(SystemError) {
        try FaultPoint.lookIntoPipe.pass("fcntl F_GETPIPE_SZ")
        let copy = try Descriptor.open(task: pid).duplicate(remote: descriptor)
        let size = try SystemError.check(
            ckernel_syscall(Int(SYS_fcntl), Int(copy.number), Int(Fcntl.F_GETPIPE_SZ), 0, 0, 0, 0), "fcntl F_GETPIPE_SZ")
        var look = pollfd(fd: copy.number, events: 0, revents: 0)
        _ = unsafe poll(&look, 1, 0)
        self.pid = pid
        self.descriptor = descriptor
        capacity = UInt32(size)
        hasReader = look.revents & Int16(POLLERR) == 0
        hasWriter = look.revents & Int16(POLLHUP) == 0
        isReader = access != OpenFlag.O_WRONLY
        end = copy
    }

    /// What waits in the pipe, in order: one piece, or one for each packet.
    @inline(never)
    package borrowing func contents(packets: Bool) throws(SystemError) -> [[UInt8]] {
        try FaultPoint.lookIntoPipe.pass("ioctl FIONREAD")
        var waiting: Int32 = 0
        let asked = unsafe withUnsafeMutablePointer(to: &waiting) { pointer in
            ckernel_syscall(Int(SYS_ioctl), Int(end.number), Int(Ioctl.FIONREAD), Int(bitPattern: pointer), 0, 0, 0)
        }
        _ = try SystemError.check(asked, "ioctl FIONREAD")
        if waiting == 0 { return [] }
        try FaultPoint.makePipe.pass("pipe2")
        var ends: [Int32] = [0, 0]
        let flags = Int32(O_CLOEXEC | O_NONBLOCK) | (packets ? Int32(O_DIRECT) : 0)
        guard unsafe pipe2(&ends, flags) == 0 else { throw SystemError(errno, in: "pipe2") }
        let output = Descriptor(owning: ends[0])
        let input = Descriptor(owning: ends[1])
        let size = ckernel_syscall(Int(SYS_fcntl), Int(input.number), Int(Fcntl.F_SETPIPE_SZ), Int(capacity), 0, 0, 0)
        _ = try SystemError.check(size, "fcntl F_SETPIPE_SZ")
        try FaultPoint.lookIntoPipe.pass("tee")
        let teed: Int
        if isReader {
            // A writer that waits for a reader of the FIFO shall not take a new one for it.
            teed = Self.tee(end.number, input.number, capacity)
        } else {
            // Opening a pipe through /proc gives a new read end even where the descriptor is a write end. It is closed
            // again at once, while the tree is still stopped.
            let reader = try Descriptor.open("/proc/\(pid)/fd/\(descriptor)", O_RDONLY | O_NONBLOCK)
            teed = Self.tee(reader.number, input.number, capacity)
        }
        let count = try SystemError.check(teed, "tee")
        if count < Int(waiting) { throw SystemError(EIO, in: "tee: \(count) of \(waiting) bytes") }
        var pieces: [[UInt8]] = []
        var whole: [UInt8] = []
        while true {
            let part: [UInt8]
            do throws(SystemError) { part = try output.read(upTo: Int(capacity)) } catch {
                if error.number == EAGAIN { break }
                throw error
            }
            if part.isEmpty { break }
            if packets { pieces.append(part) } else { whole += part }
        }
        return packets ? pieces : [whole]
    }

    @inline(never)
    private static func tee(_ from: Int32, _ to: Int32, _ capacity: UInt32) -> Int {
        ckernel_syscall(Int(SYS_tee), Int(from), Int(to), Int(capacity), Int(Splice.SPLICE_F_NONBLOCK), 0, 0)
    }
}

extension FileStatus {
    /// A terminal: pty, virtual console, serial line, /dev/tty, /dev/console.
    package var isTerminal: Bool {
        let major = specialDevice.majorNumber
        return major == DeviceMajor.TTY_MAJOR || major == DeviceMajor.TTYAUX_MAJOR
            || (DeviceMajor.UNIX98_PTY_MASTER_MAJOR..<DeviceMajor.UNIX98_PTY_SLAVE_MAJOR + DeviceMajor.UNIX98_PTY_MAJOR_COUNT)
                .contains(major)
    }

    /// /dev/ptmx or the master side of a pty.
    package var isTerminalMaster: Bool {
        let major = specialDevice.majorNumber
        return major == DeviceMajor.TTYAUX_MAJOR && specialDevice.minorNumber == 2
            || (DeviceMajor.UNIX98_PTY_MASTER_MAJOR..<DeviceMajor.UNIX98_PTY_SLAVE_MAJOR).contains(major)
    }
}

extension UInt64 {
    /// Parts of a device number as stat(2) gives it (glibc's encoding).
    package var majorNumber: UInt64 { (self >> 8 & 0xfff) | (self >> 32 & ~0xfff) }
    package var minorNumber: UInt64 { (self & 0xff) | (self >> 12 & ~0xff) }
}
