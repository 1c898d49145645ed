import FoundationEssentials
import LinuxABI
import Testing

@testable import Kernel

/// Names as the kernel writes them in `/proc`, and what they mean.
struct PathTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func status(inode: UInt64, device: UInt64 = 7, links: UInt64 = 1) -> FileStatus {
        FileStatus(
            device: device, inode: inode, mode: FileMode.S_IFREG, linkCount: links, owner: 0, group: 0, specialDevice: 0,
            size: 0, modificationTime: 0)
    }

    /// What a link's text means where these files are.
    private func path(_ text: String, of object: FileStatus, among files: [String: FileStatus]) -> KernelPath {
        KernelPath(link: bytes(text), of: KernelPath.Identity(object)) { files[String(decoding: $0, as: UTF8.self)] }
    }

    @Test func textWithoutTheSuffixIsAName() {
        let object = status(inode: 1)
        #expect(path("/a", of: object, among: [:]) == KernelPath(bytes: bytes("/a"), isDeleted: false))
        #expect(path("pipe:[5]", of: object, among: [:]) == KernelPath(bytes: bytes("pipe:[5]"), isDeleted: false))
        // No path: a descriptor of another kind may say what it likes.
        #expect(path("anon_inode:x (deleted)", of: object, among: [:]).isDeleted == false)
        #expect(path(" (deleted)", of: object, among: [:]) == KernelPath(bytes: bytes(" (deleted)"), isDeleted: false))
    }

    @Test func deletedFileLosesTheSuffix() {
        let gone = status(inode: 1, links: 0)
        #expect(path("/a (deleted)", of: gone, among: [:]) == KernelPath(bytes: bytes("/a"), isDeleted: true))
        // Others have come to both names meanwhile, one of them with the same inode of another file system.
        let others = ["/a": status(inode: 2), "/a (deleted)": status(inode: 1, device: 8)]
        #expect(path("/a (deleted)", of: gone, among: others) == KernelPath(bytes: bytes("/a"), isDeleted: true))
        // Without links it has no name, even if the inode is used again.
        #expect(path("/a (deleted)", of: gone, among: ["/a": status(inode: 1)]).isDeleted)
    }

    @Test func nameThatEndsLikeTheSuffix() {
        let object = status(inode: 1)
        let there = path("/a (deleted)", of: object, among: ["/a (deleted)": object, "/a": status(inode: 2)])
        #expect(there == KernelPath(bytes: bytes("/a (deleted)"), isDeleted: false))
        let gone = path("/a (deleted) (deleted)", of: status(inode: 1, links: 0), among: ["/a (deleted)": status(inode: 2)])
        #expect(gone == KernelPath(bytes: bytes("/a (deleted)"), isDeleted: true))
    }

    @Test func unlinkedAndLinkedAgain() {
        let object = status(inode: 1)
        #expect(path("/a (deleted)", of: object, among: ["/a": object]) == KernelPath(bytes: bytes("/a"), isDeleted: false))
        // It lives on under a name that is not known.
        #expect(path("/a (deleted)", of: status(inode: 1, links: 2), among: [:]).isDeleted)
    }

    @Test func lineEndsInMaps() throws {
        let text = #"""
            1000-2000 r--p 00000000 fe:00 11                   /d/plain
            2000-3000 r--p 00000000 fe:00 12                   /d/a\012b
            3000-4000 r--p 00000000 fe:00 13                   /d/back\slash \040
            4000-5000 r--p 00000000 fe:00 14                   /d/a\0121 (deleted)

            """#
        let maps = try MemoryMap.parse(maps: bytes(text))
        #expect(maps.map(\.path) == [bytes("/d/plain"), bytes("/d/a\nb"), bytes(#"/d/back\slash \040"#), bytes("/d/a\n1")])
        #expect(maps.map(\.isPathAmbiguous) == [false, true, false, true])
        #expect(maps.map(\.isDeleted) == [false, false, false, true])
    }

    @Test(arguments: ["/d/a\nb", #"/d/a\012b"#])
    func ambiguousNameInMaps(_ name: String) throws {
        let text = #"2000-3000 r--p 00000000 fe:00 12                   /d/a\012b"# + "\n"
        let map = try MemoryMap.parse(maps: bytes(text))[0]
        let object = KernelPath.Identity(device: nil, inode: 12, linkCount: nil)
        let expected = KernelPath(bytes: bytes(name), isDeleted: false)
        // Without the link in map_files, and with it.
        #expect(map.certainPath(link: nil, of: object) { $0 == bytes(name) ? status(inode: 12) : nil } == expected)
        #expect(
            map.certainPath(link: nil, of: object) { status(inode: $0 == bytes(name) ? 12 : 13) } == expected)
        #expect(map.certainPath(link: bytes(name), of: object) { _ in nil } == expected)
    }

    /// The path of an open file as crcheckpoint finds it out.
    private func pathOf(_ link: String) throws -> KernelPath {
        KernelPath(link: try readLink(link), of: KernelPath.Identity(try FileStatus(of: link))) { try? FileStatus(of: $0) }
    }

    /// The same questions to the running kernel, with every byte that a name can have.
    @Test func namesOfThisKernel() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "path-tests-\(ProcessInfo.processInfo.processIdentifier)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let all = (1...255).map { UInt8($0) }.filter { $0 != UInt8(ascii: "/") }
        let names = [
            bytes("plain"), bytes("a\nb"), bytes(#"a\012b"#), bytes("x (deleted)"), Array(all[..<127]), Array(all[127...]),
        ]
        for name in names {
            let path = bytes(directory + "/") + name
            let file = try Descriptor.open(path, Int32(OpenFlag.O_RDWR | OpenFlag.O_CREAT), mode: 0o600)
            try file.write([1, 2, 3])
            #expect(try FileStatus(of: path).isSameFile(as: FileStatus(of: file)))
            #expect(try readFile(path) == [1, 2, 3])
            #expect(FileAccess.read.refusal(of: path) == nil)
            let link = "/proc/self/fd/\(file.number)"
            #expect(try readLink(link) == path)
            #expect(try pathOf(link) == KernelPath(bytes: path, isDeleted: false))
            try FileManager.default.removeItem(atPath: directory)
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            #expect(try pathOf(link) == KernelPath(bytes: path, isDeleted: true))
            let again = try NamelessFile.unlinked(like: path, mode: 0o600)
            // In the directory of the old one, and never with a name: the kernel shows a number.
            let seen = try pathOf("/proc/self/fd/\(again.number)")
            #expect(seen.isDeleted && seen.bytes.starts(with: bytes(directory + "/#")))
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
        }
        let memory = try NamelessFile.memory(named: bytes("/memfd:a\u{1b} (deleted)"))
        #expect(
            try pathOf("/proc/self/fd/\(memory.number)")
                == KernelPath(bytes: bytes("/memfd:a\u{1b} (deleted)"), isDeleted: true))
    }

    @Test func zeroByteInAPath() {
        #expect(throws: SystemError(Errno.ENOENT, in: #"open /tmp\x00x"#)) { _ = try Descriptor.open(bytes("/tmp\0x")) }
        #expect(throws: SystemError(Errno.ENOENT, in: #"stat /tmp\x00x"#)) { try FileStatus(of: bytes("/tmp\0x")) }
    }

    @Test func messagesShowNamesEscaped() {
        #expect(throws: SystemError(Errno.ENOENT, in: #"open /no/\e[31m\n"#)) { _ = try Descriptor.open(bytes("/no/\u{1b}[31m\n")) }
        #expect(throws: SystemError(Errno.ENOENT, in: #"readlink /no/\xff"#)) { try readLink(bytes("/no/") + [0xff]) }
    }

    @Test func mountPointsAreUnescaped() {
        let one = MountTable(parsing: bytes(#"""
            63 43 0:39 / /m\012\040t\011b\134s#h rw,relatime - tmpfs so\040urce\043x rw
            64 63 0:40 / /proc rw,nosuid,nodev,noexec - proc proc rw,hidepid=2
            """#))
        let other = MountTable(parsing: bytes(#"""
            64 63 0:40 / /proc rw - proc proc rw
            """#))
        #expect(one.differingMountPoints(from: other) == [bytes("/m\n t\tb\\s#h")])
        #expect(one.differences(from: other) == [#"/m\n t\tb\\s#h"#])
        #expect(one.proc?.flags == MountFlag.MS_NOSUID | MountFlag.MS_NODEV | MountFlag.MS_NOEXEC)
        #expect(one.proc?.options == ["hidepid=2"])
    }

    @Test func controlGroupsOfAnyBytes() throws {
        let membership = try CgroupMembership.parse(bytes("0::/a b/\u{1b}\\012\n").map { $0 == 0x1b ? 0xff : $0 })[0]
        #expect(membership.pathBytes == bytes("/a b/") + [0xff] + bytes(#"\012"#))
        let mounts = CgroupMount.parse(bytes(#"30 20 0:25 /a\040b /sys/fs/c\040g rw - cgroup2 cgroup rw"#))
        let directory = try #require(CgroupDirectory(membership, among: mounts))
        #expect(directory.pathBytes == bytes("/sys/fs/c g/") + [0xff] + bytes(#"\012"#))
    }
}
