import Testing

import LinuxABI
@testable import Kernel

/// What the kernel says about sockets, messages and file systems.
@Suite struct OtherEndTextTests {
    @Test func messages() {
        #expect(KernelLog.sequenceNumber(of: Array("6,339,5140900,-;NET: Registered 1,2".utf8)) == 339)
        #expect(KernelLog.sequenceNumber(of: Array("6,18446744073709551615,5,c,caller=T1;x\n SUBSYSTEM=acpi".utf8)) == .max)
        for text in ["", "6,339;x", "a,b,c;", ";6,339,1"] { #expect(KernelLog.sequenceNumber(of: Array(text.utf8)) == nil, "\(text)") }
    }

    @Test func addresses() {
        func text(_ bytes: [UInt8]) -> String? { SocketAddress.text(of: bytes) }
        #expect(text([2, 0, 0x1f, 0x90, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)) == "127.0.0.1:8080")
        let zeros = [UInt8](repeating: 0, count: 15)
        #expect(text([10, 0, 0, 80, 0, 0, 0, 0] + zeros + [1, 0, 0, 0, 0]) == "[::1]:80")
        #expect(text([10, 0, 0, 80, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5]) == "[2001:db8:0:1::5]:80")
        #expect(text([10, 0, 0, 80, 0, 0, 0, 0] + zeros.prefix(10) + [255, 255, 10, 0, 0, 9, 0, 0, 0, 0]) == "[::ffff:10.0.0.9]:80")
        #expect(text([1, 0] + Array("/run/x\u{1b}".utf8) + [0, 0]) == "/run/x\\e")
        #expect(text([1, 0, 0] + Array("bus".utf8)) == "@bus")
        // A socket without a name, one of another family, a short one.
        #expect(text([1, 0]) == nil && text([16, 0, 0, 0, 1, 0, 0, 0]) == nil && text([2]) == nil && text([2, 0, 1]) == nil)
    }

    @Test func kinds() {
        #expect(SocketLook.name(1, 1, 0) == "unix stream" && SocketLook.name(1, 5, 0) == "unix seqpacket")
        #expect(SocketLook.name(2, 1, 6) == "TCP" && SocketLook.name(10, 2, 17) == "UDP" && SocketLook.name(2, 3, 99) == "IPv4 raw")
        #expect(SocketLook.name(16, 3, 15) == "netlink" && SocketLook.name(17, 3, 0) == "packet raw" && SocketLook.name(99, 9, 0) == "family 99 type 9")
    }

    @Test func unixSockets() {
        let request = UnixSocketState.request(4711)
        #expect(request.count == 40 && request[0] == 40 && request[4] == 20 && request[16] == 1)
        #expect(request[24] == 0x67 && request[25] == 0x12 && request[28] == 30)
        func state(_ kind: UInt8, _ attributes: [UInt8]) -> UnixSocketState? {
            let header = [UInt8(32 + attributes.count), 0, 0, 0, 20, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
            return UnixSocketState(parsing: header + [1, 1, kind] + [UInt8](repeating: 0, count: 13) + attributes)
        }
        // UNIX_DIAG_PEER, UNIX_DIAG_SHUTDOWN (padded).
        let connected = state(1, [8, 0, 2, 0, 0x67, 0x12, 0, 0] + [5, 0, 6, 0, 3, 0, 0, 0])
        #expect(connected?.peer == 4711 && connected?.shutdown == 3 && connected?.isListening == false && connected?.waiting == [])
        // UNIX_DIAG_VFS, UNIX_DIAG_ICONS, UNIX_DIAG_RQLEN.
        let listening = state(10, [12, 0, 1, 0, 7, 0, 0, 0, 1, 0, 0, 0] + [12, 0, 3, 0, 5, 0, 0, 0, 0, 0, 0, 0] + [12, 0, 4, 0, 2, 0, 0, 0, 9, 0, 0, 0])
        #expect(listening?.isListening == true && listening?.waiting == [5, 0] && listening?.backlog == 9 && listening?.fileInode == 7)
        #expect(listening?.peer == nil)
        // An attribute without a size or beyond the end, NLMSG_ERROR, and nothing.
        #expect(state(1, [0, 0, 2, 0, 1, 1, 1, 1]) == nil && state(1, [9, 0, 2, 0, 1, 1, 1, 1]) == nil)
        #expect(UnixSocketState(parsing: [36, 0, 0, 0, 2, 0, 0, 0] + [UInt8](repeating: 0, count: 28)) == nil && UnixSocketState(parsing: []) == nil)
    }

    /// Listening, accepted by it, a datagram socket with an abstract name, one without a name.
    @Test func namesOfUnixSockets() {
        let text = """
            Num       RefCount Protocol Flags    Type St Inode Path
            0000000000000000: 00000002 00000000 00010000 0001 01    11 /run/a b
            0000000000000000: 00000003 00000000 00000000 0001 03    12 /run/c
            0000000000000000: 00000002 00000000 00000000 0002 03    13 @d@
            0000000000000000: 00000003 00000000 00000000 0001 03    14
            nonsense
            """
        #expect(UnixSocketTable.names(in: Array(text.utf8)) == [[1] + Array("/run/a b".utf8), [2] + Array("@d@".utf8)])
    }

    /// Two sockets, one with a file, in one message of a dump; then its end.
    @Test func filesOfUnixSockets() {
        func bytes(_ words: [UInt32]) -> [UInt8] { words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } } }
        let bound = bytes([44, 20, 1, 0, 1, 7, 0, 0, 12 | 1 << 16, 4711, 2])
        let nameless = bytes([32, 20, 1, 0, 1, 8, 0, 0])
        let end = bytes([20, 3, 1, 0, 0])
        var found: Set<UInt32> = []
        #expect(UnixSocketTable.read(bound + nameless, into: &found) == false && found == [4711])
        #expect(UnixSocketTable.read(end, into: &found) == true && found == [4711])
        // NLMSG_ERROR, a message that is cut off, and none.
        #expect(UnixSocketTable.read(bytes([36, 2, 1, 0, 0]), into: &found) == nil)
        #expect(UnixSocketTable.read(Array(bound.dropLast(4)), into: &found) == nil)
        #expect(UnixSocketTable.read([], into: &found) == nil)
    }

    @Test func connections() {
        let text = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
               0: 0100007F:1F90 0200007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 20 4 30 10 -1
               1: 0100007F:1F91 0200007F:0050 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1
               2: 00000000000000000000000001000000:0016 00000000000000000000000002000000:0017 01 0:0 0:0 0 0 0 12 1 0
            """
        #expect(ConnectionTable.inodes(in: Array(text.utf8)) == ["127.0.0.1:8080 127.0.0.2:80": 4711, "[::1]:22 [::2]:23": 12])
    }

    @Test func fileSystems() {
        let types = FileSystemTypes(
            parsing: Array("36 35 98:0 / /mnt rw shared:1 - ext4 /dev/root rw\n37 35 0:44 / /far rw - fuse.sshfs host rw\nnonsense\n".utf8))
        let (near, far) = (deviceNumber(major: 98, minor: 0), deviceNumber(major: 0, minor: 44))
        #expect(types.type(of: far) == Array("fuse.sshfs".utf8))
        // What is not known might be one that is told of every close.
        #expect(types.isQuiet(near) && !types.isQuiet(far) && !types.isQuiet(5))
        #expect(types.isStorage(near) && !types.isStorage(far) && !types.isStorage(5))
    }

    /// What an NFS client calls a removed file that is open.
    @Test func sillyNames() {
        let types = FileSystemTypes(
            parsing: Array("36 35 98:0 / /mnt rw - ext4 /dev/root rw\n37 35 0:44 / /far rw - nfs4 host:/ rw\n".utf8))
        let (near, far) = (deviceNumber(major: 98, minor: 0), deviceNumber(major: 0, minor: 44))
        let name = Array("/far/.nfs00000000012ab34c00000001".utf8)
        #expect(types.isSillyName(name, on: far) && !types.isSillyName(name, on: near))
        for other in ["/far/.nfs", "/far/.nfsxyz0000000000000", "/far/nfs0000000000000000", ".nfs0000000000000000"] {
            #expect(!types.isSillyName(Array(other.utf8), on: far))
        }
    }
}
