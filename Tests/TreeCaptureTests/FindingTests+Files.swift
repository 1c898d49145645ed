import CheckpointImage
import Kernel
import LinuxABI
import Testing

@testable import TreeCapture

/// What is wrong with open files, see `FindingTests`.
extension FindingTests {
    private static func file(_ target: RawText, mode: UInt32 = 0) -> @Sendable (inout Recording) throws -> Void {
        { recording in
            let index = try recording.file(3)
            recording.sight.files[index].target = target
            if mode != 0 { recording.sight.files[index].status.mode = mode }
            recording.sight.files[index].isFoundByName = false
        }
    }

    /// An inotify with watch 2 of a file.
    private static func watching(_ number: String, mask: String, path: RawText? = nil) -> @Sendable (inout Recording) throws -> Void {
        { recording in
            try file("anon_inode:inotify", mode: 0o600)(&recording)
            let index = try recording.file(3)
            let text = "pos:\t0\nflags:\t02004000\nmnt_id:\t9\ninotify wd:\(number) ino:1234 sdev:800001 mask:\(mask) ignored_mask:0 \n"
            recording.sight.files[index].info = try Seen<DescriptorInfo>(Array(text.utf8))
            recording.sight.files[index].details["path0"] = path
        }
    }

    private static func pidfd(_ number: String, command: RawText? = nil, flags: String = "02000002") -> @Sendable (inout Recording) throws -> Void {
        { recording in
            try file("anon_inode:[pidfd]", mode: 0o600)(&recording)
            let index = try recording.file(3)
            let text = "pos:\t0\nflags:\t\(flags)\nmnt_id:\t9\nPid:\t\(number)\nNSpid:\t\(number)\n"
            recording.sight.files[index].info = try Seen<DescriptorInfo>(Array(text.utf8))
            recording.sight.files[index].details["command"] = command
        }
    }

    private static func fifo(_ details: [String: RawText], isRemoved: Bool = false) -> @Sendable (inout Recording) throws -> Void {
        { recording in
            let index = try recording.file(3)
            recording.sight.files[index].status.mode = FileMode.S_IFIFO | 0o600
            recording.sight.files[index].details = details
            if isRemoved {
                recording.sight.files[index].isFoundByName = false
                recording.sight.files[index].isRemoved = true
            }
        }
    }

    private static func lock(_ line: RawText) -> @Sendable (inout Recording) throws -> Void {
        { recording in
            let index = try #require(recording.sight.tables[0].descriptors.firstIndex { $0.number == 3 })
            recording.sight.tables[0].descriptors[index].locks = [line]
        }
    }

    /// Fd 15 is the master of a pty.
    private static func master(_ details: [String: RawText]) -> @Sendable (inout Recording) throws -> Void {
        { recording in
            let index = try recording.file(15)
            recording.sight.files[index].status.specialDevice = deviceNumber(major: 5, minor: 2)
            let common: [String: RawText] = ["terminal": "1", "inside": "1", "device": "34822", "pty": "6"]
            recording.sight.files[index].details = common.merging(details) { $1 }
        }
    }

    private static func discipline(_ number: UInt8) -> RawText {
        var settings = [UInt8](repeating: 0, count: 44)
        settings[16] = number
        return RawText(settings)
    }

    private static func owner(_ number: RawText, type: RawText) -> @Sendable (inout Recording) throws -> Void {
        { $0.sight.files[try $0.file(3)].details = ["owner": number, "ownerType": type] }
    }

    private static func proc(
        _ path: RawText, command: RawText? = nil, isOwn: Bool = true
    ) -> @Sendable (inout Recording) throws -> Void {
        { recording in
            let index = try recording.file(3)
            recording.sight.files[index].target = path
            recording.sight.files[index].status.device = 21
            recording.sight.files[index].details["command"] = command
            if isOwn { recording.sight.files[index].details["own"] = "1" }
        }
    }

    private static func socket(_ details: [String: RawText]) -> @Sendable (inout Recording) throws -> Void {
        { recording in
            try file("socket:[5]", mode: FileMode.S_IFSOCK)(&recording)
            let index = try recording.file(3)
            recording.sight.files[index].details = ["kind": "unix stream socket", "type": "1"].merging(details) { $1 }
        }
    }

    private static func other(_ details: [String: RawText]) -> @Sendable (inout Recording) throws -> Void {
        { recording in
            try file("socket:[5]", mode: FileMode.S_IFSOCK)(&recording)
            recording.sight.files[try recording.file(3)].details = ["kind": "UDP socket"].merging(details) { $1 }
        }
    }

    private static func queue(_ details: [String: RawText], isRemoved: Bool = false) -> @Sendable (inout Recording) throws -> Void {
        { recording in
            try file("/jobs")(&recording)
            let index = try recording.file(3)
            recording.sight.files[index].details = ["messageQueue": "1", "most": "1", "longest": "1", "messages": "0"].merging(details) { $1 }
            if isRemoved { recording.sight.files[index].isRemoved = true }
        }
    }

    static let descriptors = [
        Change("fd 3", "is a socket, which cannot be saved yet", file("socket:[5]", mode: FileMode.S_IFSOCK)),
        Change("fd 3", "is a netlink socket that listens, /run/x, which cannot be saved yet") { recording in
            try file("socket:[5]", mode: FileMode.S_IFSOCK)(&recording)
            let index = try recording.file(3)
            recording.sight.files[index].details = ["kind": "netlink socket", "isListening": "1", "local": "/run/x"]
        },
        Change("fd 3", "is a TCP socket, 127.0.0.1:5, connected with 10.0.0.1:80, which cannot be saved yet") { recording in
            try file("socket:[5]", mode: FileMode.S_IFSOCK)(&recording)
            let index = try recording.file(3)
            recording.sight.files[index].details = ["kind": "TCP socket", "isTCP": "1", "local": "127.0.0.1:5", "peer": "10.0.0.1:80"]
        },
        Change("fd 3", "is a netlink socket (route), port 9, in which messages wait", other(["family": "16", "port": "9", "refusal": "in which messages wait"])),
        Change("fd 3", "is a packet socket, with a ring", other(["family": "17", "refusal": "with a ring"])),
        Change("fd 3", "is a UDP socket, 127.0.0.1:53, which holds back", other(["family": "2", "local": "127.0.0.1:53", "refusal": "which holds back"])),
        Change("fd 3", "that the kernel uses for a tunnel (UDP_ENCAP 3)", other(["family": "2", "protocol": "17", "option0": RawText([17, 0, 0, 0, 100, 0, 0, 0, 0, 3, 0, 0, 0])])),
        Change("fd 3", "a group that shares packets by a program", other(["family": "17", "fanout": "393217"])),
        Change("fd 3", "connected with a socket outside of the tree") { recording in
            try file("socket:[5]", mode: FileMode.S_IFSOCK)(&recording)
            recording.sight.files[try recording.file(3)].details = ["kind": "unix stream socket", "type": "1", "peerInode": "77"]
        },
        Change("fd 3", "is a unix stream socket, which has a filter", socket(["refusal": "which has a filter"])),
        Change("fd 3", "is a unix stream socket that listens, /run/x, whose file is /run/y by now", socket(["backlog": "9", "address": "/run/x", "local": "/run/x", "file": "/run/y"])),
        Change("fd 3", "whose file is /srv/run/x by now", socket(["backlog": "9", "address": "/run/x", "file": "/srv/run/x", "elsewhere": "1"])),
        Change("fd 3", "bound by a name with .. to /run/x", socket(["backlog": "9", "address": "../run/x", "file": "/run/x"])),
        Change("fd 3", "in which descriptors wait that came from a socket which it is not connected with", socket(["type": "2", "address": "/run/x", "message0": "x", "files0": "1"])),
        Change("fd 3", "outside of the tree that has not been accepted yet, @x", socket(["peerInode": "0", "peer": "@x"])),
        Change("fd 3", "at which a connection from outside of the tree waits", socket(["backlog": "9", "waiting": "77"])),
        Change("fd 3", "at which a connection that is closed by now waits", socket(["backlog": "9", "waiting": "0"])),
        Change("fd 3", "in which a message of process 99999 waits with its credentials (SO_PASSCRED), which has ended", socket(["message0": "x", "sender0": "99999 2 3"])),
        Change("fd 3", "in which descriptors wait and a message with the credentials", socket(["message0": "x", "sender0": "99999 2 3", "files0": "1"])),
        Change("fd 3", "in which descriptors wait whose sender has closed", socket(["peerInode": "0", "shutdown": "3", "message0": "x", "files0": "1"])),
        Change("fd 3", "in which a message waits and which is not connected any more", socket(["type": "2", "message0": "x"])),
        Change("fd 3", "in which /dev/sda waits, which cannot be saved") { recording in
            try socket(["peerInode": "5", "message0": "x", "files0": RawText(recording.sight.files.count + 1)])(&recording)
            var other = recording.sight.files[try recording.file(3)]
            other.target = "/dev/sda"
            other.status.mode = FileMode.S_IFBLK | 0o600
            other.status.inode = 6
            other.details = [:]
            recording.sight.files.append(other)
        },
        Change("fd 3", "which has an error waiting", socket(["type": "2", "peerInode": "0", "reset": "1"])),
        Change("fd 3", "is the block device /dev/sda, which cannot be saved", file("/dev/sda", mode: FileMode.S_IFBLK)),
        Change("fd 3", "with something in it, which 77 cat outside of the tree can read, too", fifo(["fifoHolder": "77 cat", "packet0": "x"])),
        Change("fd 3", "which has no name any more, and 77 cat outside of the tree has it, too", fifo(["fifoHolder": "77 cat"], isRemoved: true)),
        Change("fd 3", "the pipe cannot be looked into: EACCES") { recording in
            try fifo([:])(&recording)
            recording.sight.files[try recording.file(3)].fail(SystemError(Errno.EACCES, in: "open"))
        },
        Change("fd 3", "is an inotify instance with 32 bytes of events that have not been read") { recording in
            try file("anon_inode:inotify", mode: 0o600)(&recording)
            recording.sight.files[try recording.file(3)].details = ["waiting": "32"]
        },
        Change("fd 3", "watch 2 is of a file without a name that can be found (inode 4660 of device 8:1)", watching("2", mask: "fff")),
        Change("fd 3", "waits for one access (IN_ONESHOT) to /, which a restart would be", watching("2", mask: "80000020", path: "/")),
        Change("fd 3", "is an io_uring, which cannot be saved yet", file("anon_inode:[io_uring]", mode: 0o600)),
        Change("fd 3", "is a pidfd, and the kernel does not tell of which process", file("anon_inode:[pidfd]", mode: 0o600)),
        Change("fd 3", "is a pidfd of a thread that has ended", pidfd("-1", flags: "02000202")),
        Change("fd 3", "is a pidfd of a process in another pid namespace", pidfd("0")),
        Change("fd 3", "is a pidfd of process 99999 sleep, which is outside of the tree", pidfd("99999", command: "sleep")),
        Change("fd 3", "is a network namespace, which cannot be saved yet", file("net:[4026531840]")),
        Change("fd 3", "is anon_inode:[new], which cannot be saved yet", file("anon_inode:[new]", mode: 0o600)),
        Change("fd 3", "of the next message (mq_notify), and how it does cannot be seen: EPERM") { recording in
            try queue(["notified": RawText("\(recording.sight.root.rawValue)"), "method": "0", "signal": "10", "unseen": "EPERM"])(&recording)
        },
        Change("fd 3", "which tells process 5 outside of the tree", queue(["notified": "5"], isRemoved: true)),
        Change("fd 3", "whose name has been removed (mq_unlink), with 2 messages that cannot be seen: EPERM", queue(["messages": "2", "unseen": "EPERM"], isRemoved: true)),
        Change("fd 3", "is /proc/1/stat, of process 1 systemd, which is outside of the tree", proc("/proc/1/stat", command: "systemd")),
        Change("fd 3", "of a process that has ended", proc("/proc/99999/stat")),
        Change("fd 3", "in a /proc of another pid namespace", proc("/proc/99999/stat", isOwn: false)),
        Change("fd 5", "reads kernel messages (/dev/null) and has not read all") { recording in
            recording.sight.files[try recording.file(5)].details = ["unread": "1", "read": "5"]
        },
        Change("fd 3", "has lost its name /tmp/moved and has another one", file("/tmp/moved")),
        Change("fd 4", "another file or mount is in its place") { recording in
            recording.sight.files[try recording.file(4)].isFoundByName = false
        },
        Change("fd 5", "is the device /dev/fuse (10:229), the connection of a FUSE file system, which cannot be saved") { recording in
            let index = try recording.file(5)
            recording.sight.files[index].target = "/dev/fuse"
            recording.sight.files[index].status.specialDevice = deviceNumber(major: 10, minor: 229)
        },
        Change("fd 15", "is the master of a pseudo-terminal") { recording in
            recording.sight.files[try recording.file(15)].status.specialDevice = deviceNumber(major: 5, minor: 2)
        },
        Change(
            "fd 15", "is the master of /dev/pts/6, the controlling terminal of session 77, which is not in the tree", master(["session": "77"])),
        Change("fd 15", "bytes were written before any process opened the terminal", master(["unused": "1", "early": "1"])),
        Change("fd 15", "with line discipline 3, which cannot be saved yet", master(["settings": discipline(3)])),
        Change("fd 3", "has a lock on /srv/demo/named that is not known: 1: NEW", lock("1: NEW")),
        Change("fd 3", "that another process has asked it to give up", lock("1: LEASE  BREAKING  READ 1 00:00:1 0 EOF")),
        Change("fd 3", "holds a delegation (nfsd) of ", lock("1: DELEG  ACTIVE    READ 1 00:00:1 0 EOF")),
        Change("fd 3", "together with 77 sh, which is outside of the tree and would keep it") { recording in
            try lock("1: FLOCK  ADVISORY  WRITE 1 00:00:1 0 EOF")(&recording)
            recording.sight.files[try recording.file(3)].details["lockSharer"] = "77 sh"
        },
        Change("fd 3", "holds a shared lock (F_OFD_SETLK, bytes 10 to 19) on ") { recording in
            try lock("1: OFDLCK ADVISORY  READ -1 00:00:1 10 19")(&recording)
            recording.sight.files[try recording.file(3)].details["lockSharer"] = "77 sh"
        },
        Change("fd 11", "holds an exclusive lock (F_SETLK, byte 5) on anon_inode:[eventfd], which a restart could not take") { recording in
            let index = try #require(recording.sight.tables[0].descriptors.firstIndex { $0.number == 11 })
            recording.sight.tables[0].descriptors[index].locks = ["1: POSIX  ADVISORY  WRITE 1 00:00:1 5 5"]
        },
        Change("fd 3", "sends the signals of ", owner("77", type: "1")),
        Change("fd 3", "is outside of the tree", owner("77", type: "2")),
        Change("fd 4", "by F_NOTIFY, and the kernel does not tell for which events") { recording in
            recording.sight.files[try recording.file(4)].details = ["owner": RawText(recording.sight.root.rawValue), "ownerType": "1"]
        },
        Change("fd 3", "sends signals (O_ASYNC)") { recording in
            try replace(&recording.sight.files[try recording.file(3)].info, "flags:\t02100002", "flags:\t02120002")
        },
        Change("fd 9", "is the read end of a pipe whose other end is outside of the tree") { recording in
            recording.sight.files[try recording.file(9)].details["out"] = "1"
        },
        Change("fd 9", "the pipe cannot be looked into: EACCES") { recording in
            recording.sight.files[try recording.file(9)].fail(SystemError(Errno.EACCES, in: "open"))
        },
        Change("fd 11", "is an eventfd whose count this kernel does not tell") { recording in
            try replace(&recording.sight.files[try recording.file(11)].info, "eventfd-count", "count")
        },
        Change("fd 12", "is a signalfd whose signals this kernel does not tell") { recording in
            try replace(&recording.sight.files[try recording.file(12)].info, "sigmask", "mask")
        },
        Change("fd 13", "is a timerfd whose times this kernel does not tell") { recording in
            recording.sight.files[try recording.file(13)].details = [:]
        },
        Change("fd 14", "is an epoll that watches a file, once its fd") { recording in
            recording.sight.files[try recording.file(14)].details["watched0"] = "0"
        },
        Change("fd 14", "the epoll cannot be looked into: EPERM") { recording in
            recording.sight.files[try recording.file(14)].fail(SystemError(Errno.EPERM, in: "kcmp"))
        },
    ]
}
