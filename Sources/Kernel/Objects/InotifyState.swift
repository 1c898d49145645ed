internal import CKernel
internal import Glibc
internal import LinuxABI

/// What fdinfo says about an inotify: its watches, in the kernel's order.
///
/// - Source: proc(5), `/proc/pid/fdinfo`; fs/notify/fdinfo.c, `inotify_fdinfo`.
package struct InotifyState: Equatable, Sendable {
    package struct Watch: Equatable, Sendable {
        /// As inotify_add_watch(2) gave it.
        package var number: Int32
        package var inode: UInt64
        /// Of the file system: major and minor number as the kernel has them, which on some file systems are others than
        /// those that stat(2) tells.
        package var major: UInt64
        package var minor: UInt64
        package var mask: UInt32
        /// By which the file system finds the file; nil: it has none.
        package var handle: FileHandle?
    }

    package var watches: [Watch] = []

    package init(_ info: DescriptorInfo) throws(SystemError) {
        for line in info.extra {
            var cursor = ByteCursor(line)
            guard cursor.key() == key("inotify wd") else { continue }
            guard let number = cursor.hexadecimal().flatMap({ Int32(exactly: $0) }), cursor.field("ino"),
                let inode = cursor.hexadecimal(), cursor.field("sdev"), let device = cursor.hexadecimal(),
                cursor.field("mask"), let mask = cursor.hexadecimal()
            else { throw malformed("fdinfo of an inotify") }
            var handle: FileHandle?
            if cursor.field("ignored_mask"), cursor.hexadecimal() != nil, cursor.field("fhandle-bytes"), let count = cursor.hexadecimal(),
                cursor.field("fhandle-type"), let type = cursor.hexadecimal(), cursor.field("f_handle")
            {
                handle = FileHandle(type: Int32(truncatingIfNeeded: type), hexadecimal: cursor.restOfLine(), count: count)
            }
            // Source: linux/kdev_t.h, MINORBITS.
            watches.append(
                Watch(
                    number: number, inode: inode, major: device >> 20, minor: device & 0xf_ffff,
                    mask: UInt32(truncatingIfNeeded: mask), handle: handle))
        }
        watches.sort { $0.number < $1.number }
    }

    /// Bytes of events that no read(2) has taken.
    @inline(never)
    package static func waiting(of pid: Int32, descriptor: Int32) throws(SystemError) -> Int {
        let copy = try Descriptor.open(task: pid).duplicate(remote: descriptor)
        return try waiting(copy.number)
    }

    @inline(never)
    static func waiting(_ number: Int32) throws(SystemError) -> Int {
        var count: Int32 = 0
        let asked = unsafe withUnsafeMutablePointer(to: &count) { pointer in
            ckernel_syscall(Int(SYS_ioctl), Int(number), Int(Ioctl.FIONREAD), Int(bitPattern: pointer), 0, 0, 0)
        }
        _ = try SystemError.check(asked, "ioctl FIONREAD")
        return Int(count)
    }

    /// `fs.inotify.max_queued_events`
    package static func mostQueuedEvents() throws(SystemError) -> Int {
        var cursor = ByteCursor(try readKernelText("/proc/sys/fs/inotify/max_queued_events", capacity: 64))
        guard let most = cursor.decimal() else { throw malformed("max_queued_events") }
        return Int(clamping: most)
    }

    /// Whether the number of the next watch can be chosen (CONFIG_CHECKPOINT_RESTORE).
    @inline(never)
    package static func mayChooseNumber() -> Bool {
        let made = ckernel_syscall(Int(SYS_inotify_init1), Int(O_CLOEXEC), 0, 0, 0, 0, 0)
        guard made >= 0 else { return false }
        let file = Descriptor(owning: Int32(made))
        return ckernel_syscall(Int(SYS_ioctl), Int(file.number), Int(Ioctl.INOTIFY_IOC_SETNEXTWD), 7, 0, 0, 0) == 0
    }
}
