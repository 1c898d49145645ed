import Testing

@testable import Kernel

/// What the kernel says about sockets, messages and file systems.
@Suite struct OtherEndTextTests {
    @Test func messages() {
        #expect(KernelLog.sequenceNumber(of: Array("6,339,5140900,-;NET: Registered 1,2".utf8)) == 339)
        #expect(KernelLog.sequenceNumber(of: Array("6,18446744073709551615,5,c,caller=T1;x\n SUBSYSTEM=acpi".utf8)) == .max)
        for text in ["", "6,339;x", "a,b,c;", ";6,339,1"] { #expect(KernelLog.sequenceNumber(of: Array(text.utf8)) == nil, "\(text)") }
    }

    @Test func addresses() {
        func text(_ bytes: [UInt8]) -> String? { SocketLook.text(of: bytes) }
        #expect(text([2, 0, 0x1f, 0x90, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)) == "127.0.0.1:8080")
        let zeros = [UInt8](repeating: 0, count: 15)
        #expect(text([10, 0, 0, 80, 0, 0, 0, 0] + zeros + [1, 0, 0, 0, 0]) == "[::1]:80")
        #expect(text([10, 0, 0, 80, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5]) == "[2001:db8:0:1::5]:80")
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

    @Test func peerOfAUnixSocket() {
        let request = UnixSocketPeer.request(4711)
        #expect(request.count == 40 && request[0] == 40 && request[4] == 20 && request[16] == 1)
        #expect(request[24] == 0x67 && request[25] == 0x12 && request[28] == 4)
        let header: [UInt8] = [40, 0, 0, 0, 20, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
        let message = [UInt8](repeating: 1, count: 16)
        #expect(UnixSocketPeer.peer(in: header + message + [8, 0, 2, 0, 0x67, 0x12, 0, 0]) == 4711)
        #expect(UnixSocketPeer.peer(in: header + message + [8, 0, 0, 0, 0x67, 0x12, 0, 0]) == nil)
        #expect(UnixSocketPeer.peer(in: header + message + [0, 0, 2, 0, 1, 1, 1, 1]) == nil)
        // NLMSG_ERROR, and nothing.
        #expect(UnixSocketPeer.peer(in: [36, 0, 0, 0, 2, 0, 0, 0] + [UInt8](repeating: 0, count: 28)) == nil && UnixSocketPeer.peer(in: []) == nil)
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
