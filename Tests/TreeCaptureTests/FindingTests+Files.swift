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

    private static func lock(_ line: RawText) -> @Sendable (inout Recording) throws -> Void {
        { recording in
            let index = try #require(recording.sight.tables[0].descriptors.firstIndex { $0.number == 3 })
            recording.sight.tables[0].descriptors[index].locks = [line]
        }
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

    static let descriptors = [
        Change("fd 3", "is a socket, which cannot be saved yet", file("socket:[5]", mode: FileMode.S_IFSOCK)),
        Change("fd 3", "is a unix stream socket that listens, /run/x, which cannot be saved yet") { recording in
            try file("socket:[5]", mode: FileMode.S_IFSOCK)(&recording)
            let index = try recording.file(3)
            recording.sight.files[index].details = ["kind": "unix stream socket", "isListening": "1", "local": "/run/x"]
        },
        Change("fd 3", "is a TCP socket, 127.0.0.1:5, connected with 10.0.0.1:80, which cannot be saved yet") { recording in
            try file("socket:[5]", mode: FileMode.S_IFSOCK)(&recording)
            let index = try recording.file(3)
            recording.sight.files[index].details = ["kind": "TCP socket", "isTCP": "1", "local": "127.0.0.1:5", "peer": "10.0.0.1:80"]
        },
        Change("fd 3", "connected with a socket outside of the tree") { recording in
            try file("socket:[5]", mode: FileMode.S_IFSOCK)(&recording)
            recording.sight.files[try recording.file(3)].details = ["kind": "unix stream socket", "peerInode": "77"]
        },
        Change("fd 3", "is the block device /dev/sda, which cannot be saved", file("/dev/sda", mode: FileMode.S_IFBLK)),
        Change("fd 3", "is the named pipe (FIFO) /tmp/fifo, which cannot be saved yet", file("/tmp/fifo", mode: FileMode.S_IFIFO)),
        Change("fd 3", "is an inotify instance, which cannot be saved yet", file("anon_inode:inotify", mode: 0o600)),
        Change("fd 3", "is an io_uring, which cannot be saved yet", file("anon_inode:[io_uring]", mode: 0o600)),
        Change("fd 3", "is a pidfd, which cannot be saved yet", file("anon_inode:[pidfd]", mode: 0o600)),
        Change("fd 3", "is a network namespace, which cannot be saved yet", file("net:[4026531840]")),
        Change("fd 3", "is anon_inode:[new], which cannot be saved yet", file("anon_inode:[new]", mode: 0o600)),
        Change("fd 3", "is the POSIX message queue /jobs, which cannot be saved yet") { recording in
            try file("/jobs")(&recording)
            recording.sight.files[try recording.file(3)].details = ["messageQueue": "1"]
        },
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
        Change("fd 5", "is the device /dev/fuse, the connection of a FUSE file system, which cannot be saved") { recording in
            let index = try recording.file(5)
            recording.sight.files[index].target = "/dev/fuse"
            recording.sight.files[index].status.specialDevice = deviceNumber(major: 10, minor: 229)
        },
        Change("fd 15", "is the master of a pseudo-terminal") { recording in
            recording.sight.files[try recording.file(15)].status.specialDevice = deviceNumber(major: 5, minor: 2)
        },
        Change("fd 3", "holds a POSIX lock (F_SETLK, lockf) for writing on", lock("1: POSIX  ADVISORY  WRITE 1 00:00:1 0 EOF")),
        Change("fd 3", "bytes 10 to 19, which cannot be saved", lock("1: POSIX  ADVISORY  READ 1 00:00:1 10 19")),
        Change("fd 3", "holds an exclusive lock by flock(2) on", lock("1: FLOCK  ADVISORY  WRITE 1 00:00:1 0 EOF")),
        Change("fd 3", "holds a lease (F_SETLEASE) for reading on", lock("1: LEASE  ACTIVE    READ 1 00:00:1 0 EOF")),
        Change("fd 3", "holds a lock of the open file (F_OFD_SETLK)", lock("1: OFDLCK ADVISORY  WRITE -1 00:00:1 0 EOF")),
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
        Change("fd 9", "is a pipe opened for both reading and writing") { recording in
            recording.sight.files[try recording.file(9)].details = [:]
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
