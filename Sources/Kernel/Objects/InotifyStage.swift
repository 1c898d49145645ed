internal import CKernel
internal import Glibc
internal import LinuxABI

/// An inotify, and a file system of its own in memory where things are made to happen for it. That file system has no name
/// anywhere, and goes with this value.
///
/// An event gets into the queue of an inotify only when it happens to something that is watched, and a watch that is removed
/// leaves an event itself (IN_IGNORED). Except where the queue is full, and says so already (IN_Q_OVERFLOW): then further
/// events are dropped without a trace. So the queue is filled with events that are read away later, from its front.
///
/// - Source: fs/notify/notification.c, `fsnotify_insert_event`; inotify(7).
package struct InotifyStage: ~Copyable {
    private let inotify: Descriptor
    private let root: Descriptor
    /// Watches of things here, each of a file or directory of the name `w` and its number.
    private var watches: [Int32: Bool] = [:]
    private var serial = 0

    /// - Errors: `EPERM`: CAP_SYS_ADMIN is needed.
    @inline(never)
    package static func make() throws(SystemError) -> InotifyStage {
        let made = ckernel_syscall(Int(SYS_inotify_init1), Int(O_NONBLOCK | O_CLOEXEC), 0, 0, 0, 0, 0)
        let inotify = Descriptor(owning: Int32(try SystemError.check(made, "inotify_init1")))
        let stage = InotifyStage(inotify, try fileSystem())
        try stage.makeDirectory("out")
        return stage
    }

    private init(_ inotify: consuming Descriptor, _ root: consuming Descriptor) {
        self.inotify = inotify
        self.root = root
    }

    /// A tmpfs that is mounted nowhere.
    @inline(never)
    private static func fileSystem() throws(SystemError) -> Descriptor {
        let opened = withPath("tmpfs") { ckernel_syscall(Int(SYS_fsopen), $0, Int(MountTree.FSOPEN_CLOEXEC), 0, 0, 0, 0) }
        let context = Descriptor(owning: Int32(try SystemError.check(opened, "fsopen")))
        let create = 6  // FSCONFIG_CMD_CREATE
        _ = try SystemError.check(ckernel_syscall(Int(SYS_fsconfig), Int(context.number), create, 0, 0, 0, 0), "fsconfig")
        let mounted = ckernel_syscall(Int(SYS_fsmount), Int(context.number), Int(MountTree.FSMOUNT_CLOEXEC), 0, 0, 0, 0)
        return Descriptor(owning: Int32(try SystemError.check(mounted, "fsmount")))
    }

    /// The inotify. Its status flags are O_NONBLOCK.
    package consuming func finish() throws(SystemError) -> Descriptor {
        let copy = ckernel_syscall(Int(SYS_fcntl), Int(inotify.number), Int(F_DUPFD_CLOEXEC), 3, 0, 0, 0)
        return Descriptor(owning: Int32(try SystemError.check(copy, "fcntl F_DUPFD_CLOEXEC")))
    }

    // MARK: - Watches

    /// Makes sure that there is a watch with this number.
    package mutating func watch(_ number: Int32, isDirectory: Bool) throws(SystemError) {
        if watches[number] != nil { return }
        if isDirectory { try makeDirectory(name(number)) } else { try makeFile(name(number)) }
        try choose(number)
        watches[number] = isDirectory
        try listen(number, for: 0)
    }

    /// The number of the next watch.
    package func choose(_ number: Int32) throws(SystemError) {
        _ = try SystemError.check(
            ckernel_syscall(Int(SYS_ioctl), Int(inotify.number), Int(Ioctl.INOTIFY_IOC_SETNEXTWD), Int(number), 0, 0, 0), "ioctl INOTIFY_IOC_SETNEXTWD")
    }

    /// From here on a watch hears of these events alone.
    private func listen(_ number: Int32, for mask: UInt32) throws(SystemError) {
        let path = Array("/proc/self/fd/\(root.number)/".utf8) + name(number)
        let wanted = mask == 0 ? Inotify.IN_EXCL_UNLINK : mask
        let added = withPath(path) { ckernel_syscall(Int(SYS_inotify_add_watch), Int(inotify.number), $0, Int(wanted), 0, 0, 0) }
        guard try SystemError.check(added, "inotify_add_watch") == Int(number) else { throw SystemError(EEXIST, in: "inotify_add_watch") }
    }

    /// Removes a watch, which is an event (IN_IGNORED).
    package mutating func remove(_ number: Int32) throws(SystemError) {
        _ = try SystemError.check(ckernel_syscall(Int(SYS_inotify_rm_watch), Int(inotify.number), Int(number), 0, 0, 0, 0), "inotify_rm_watch")
        let isDirectory = watches.removeValue(forKey: number) ?? false
        try unlink(name(number), isDirectory)
    }

    /// Removes all watches, when the queue is full.
    package mutating func removeAll() throws(SystemError) { for number in watches.keys.sorted() { try remove(number) } }

    // MARK: - Events

    /// Makes `count` events of 16 bytes, of which no two side by side are the same.
    package func fill(_ count: Int, watch number: Int32) throws(SystemError) {
        try listen(number, for: Inotify.IN_OPEN | Inotify.IN_CLOSE_NOWRITE)
        for _ in 0..<count / 2 { _ = try open(name(number), O_RDONLY) }
        if count % 2 == 1 {
            try listen(number, for: Inotify.IN_OPEN)
            _ = try open(name(number), O_RDONLY)
        }
        try listen(number, for: 0)
    }

    /// Makes one event happen to what a watch watches, or to the file of a name in it.
    package mutating func happen(_ number: Int32, _ kind: UInt32, isDirectory: Bool, name child: [UInt8]) throws(SystemError) {
        let path = child.isEmpty ? name(number) : name(number) + [UInt8(ascii: "/")] + child
        let aside = nextAside()
        let (isNew, isMoved) = (kind == Inotify.IN_CREATE, kind == Inotify.IN_MOVED_TO)
        if !child.isEmpty && !isNew { try make(isMoved ? aside : path, isDirectory) }
        var reader: Int32 = -1
        defer { if reader >= 0 { DescriptorTable.close(reader) } }
        if kind == Inotify.IN_ACCESS {
            if !isDirectory { try open(path, O_WRONLY).write([0]) }
            reader = try open(path, O_RDONLY).release()
        }
        try listen(number, for: kind)
        switch kind {
        case Inotify.IN_OPEN, Inotify.IN_CLOSE_NOWRITE: _ = try open(path, O_RDONLY)
        case Inotify.IN_CLOSE_WRITE: _ = try open(path, O_WRONLY)
        case Inotify.IN_MODIFY: try open(path, O_WRONLY).write([0])
        case Inotify.IN_ACCESS: try access(reader, isDirectory)
        case Inotify.IN_ATTRIB: try setMode(path)
        case Inotify.IN_CREATE: try make(path, isDirectory)
        case Inotify.IN_DELETE: try unlink(path, isDirectory)
        case Inotify.IN_MOVED_FROM: try rename(path, aside)
        case Inotify.IN_MOVED_TO: try rename(aside, path)
        case Inotify.IN_MOVE_SELF: try rename(path, aside)
        default: throw SystemError(EINVAL, in: "an event of an inotify")
        }
        if kind == Inotify.IN_MOVE_SELF { try rename(aside, path, listening: number) }
        if watches[number] != nil { try listen(number, for: 0) }
        if !child.isEmpty && kind != Inotify.IN_DELETE { try unlink(kind == Inotify.IN_MOVED_FROM ? aside : path, isDirectory) }
    }

    /// One rename that two watches, or one, hear of.
    package mutating func move(_ from: Int32, _ old: [UInt8], to: Int32, _ new: [UInt8], isDirectory: Bool) throws(SystemError) {
        let (source, target) = (name(from) + [UInt8(ascii: "/")] + old, name(to) + [UInt8(ascii: "/")] + new)
        try make(source, isDirectory)
        if from == to {
            try listen(from, for: Inotify.IN_MOVED_FROM | Inotify.IN_MOVED_TO)
        } else {
            try listen(from, for: Inotify.IN_MOVED_FROM)
            try listen(to, for: Inotify.IN_MOVED_TO)
        }
        try rename(source, target)
        try listen(from, for: 0)
        try listen(to, for: 0)
        try unlink(target, isDirectory)
    }

    /// Removes what a watch watches: IN_DELETE_SELF and IN_IGNORED.
    package mutating func end(_ number: Int32) throws(SystemError) {
        try listen(number, for: Inotify.IN_DELETE_SELF)
        let isDirectory = watches.removeValue(forKey: number) ?? false
        try unlink(name(number), isDirectory)
    }

    /// Takes events away from the front: exactly these bytes.
    package func readAway(_ count: Int) throws(SystemError) {
        var left = count
        while left > 0 { left -= try inotify.read(upTo: min(left, 65536)).count }
    }

    /// Bytes of the events that wait.
    package func waiting() throws(SystemError) -> Int { try InotifyState.waiting(inotify.number) }

    // MARK: - Files

    private func name(_ number: Int32) -> [UInt8] { Array("w\(number)".utf8) }

    private mutating func nextAside() -> [UInt8] {
        serial += 1
        return Array("out/\(serial)".utf8)
    }

    private func make(_ path: [UInt8], _ isDirectory: Bool) throws(SystemError) {
        if isDirectory { try makeDirectory(path) } else { try makeFile(path) }
    }

    private func makeDirectory(_ path: String) throws(SystemError) { try makeDirectory(Array(path.utf8)) }

    private func makeDirectory(_ path: [UInt8]) throws(SystemError) {
        let made = withPath(path) { ckernel_syscall(Int(SYS_mkdirat), Int(root.number), $0, 0o700, 0, 0, 0) }
        _ = try SystemError.check(made, "mkdirat")
    }

    /// By mknod(2), which does not open it.
    private func makeFile(_ path: [UInt8]) throws(SystemError) {
        let made = withPath(path) { ckernel_syscall(Int(SYS_mknodat), Int(root.number), $0, Int(FileMode.S_IFREG) | 0o600, 0, 0, 0) }
        _ = try SystemError.check(made, "mknodat")
    }

    private func open(_ path: [UInt8], _ flags: Int32) throws(SystemError) -> Descriptor {
        let opened = withPath(path) { ckernel_syscall(Int(SYS_openat), Int(root.number), $0, Int(flags | O_CLOEXEC), 0, 0, 0) }
        return Descriptor(owning: Int32(try SystemError.check(opened, "openat")))
    }

    private func setMode(_ path: [UInt8]) throws(SystemError) {
        let set = withPath(path) { ckernel_syscall(Int(SYS_fchmodat), Int(root.number), $0, 0o700, 0, 0, 0) }
        _ = try SystemError.check(set, "fchmodat")
    }

    private func unlink(_ path: [UInt8], _ isDirectory: Bool) throws(SystemError) {
        let removed = withPath(path) { ckernel_syscall(Int(SYS_unlinkat), Int(root.number), $0, isDirectory ? Int(AT_REMOVEDIR) : 0, 0, 0, 0) }
        _ = try SystemError.check(removed, "unlinkat")
    }

    private func rename(_ old: [UInt8], _ new: [UInt8]) throws(SystemError) {
        let moved = withPath(old) { from in
            withPath(new) { to in ckernel_syscall(Int(SYS_renameat2), Int(root.number), from, Int(root.number), to, 0, 0) }
        }
        _ = try SystemError.check(moved, "renameat2")
    }

    /// Renames what is watched back without its watch hearing of it: the path of a watch is needed to change its mask.
    private func rename(_ aside: [UInt8], _ path: [UInt8], listening number: Int32) throws(SystemError) {
        let place = Array("/proc/self/fd/\(root.number)/".utf8) + aside
        let quiet = withPath(place) { ckernel_syscall(Int(SYS_inotify_add_watch), Int(inotify.number), $0, Int(Inotify.IN_EXCL_UNLINK), 0, 0, 0) }
        _ = try SystemError.check(quiet, "inotify_add_watch")
        try rename(aside, path)
    }

    @inline(never)
    private func access(_ number: Int32, _ isDirectory: Bool) throws(SystemError) {
        var room = [UInt8](repeating: 0, count: 1024)
        let call = isDirectory ? SYS_getdents64 : SYS_read
        let read = unsafe room.withUnsafeMutableBytes { buffer in
            ckernel_syscall(Int(call), Int(number), Int(bitPattern: buffer.baseAddress), buffer.count, 0, 0, 0)
        }
        _ = try SystemError.check(read, "read")
    }
}
