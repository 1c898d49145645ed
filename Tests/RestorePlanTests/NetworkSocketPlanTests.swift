import CheckpointImage
import LinuxABI
import StepProgram
import Testing

@testable import RestorePlan

/// Plans and refusals of UDP, raw, packet and netlink sockets, and of options.
@Suite struct NetworkSocketPlanTests {
    private func udp(_ change: (inout ImageInetSocket) -> Void = { _ in }) throws -> (Sample, [String]) {
        var sample = Sample()
        sample.facts.ownCredentials.effective = .max
        sample.facts.devices = [Array("lo".utf8): 1, Array("eth0".utf8): 7]
        let file = sample.addFile(.inet(.init()), at: [(0, 7)])
        var socket = ImageInetSocket()
        (socket.family, socket.type, socket.protocol) = (2, 2, 17)
        (socket.local.host, socket.local.port) = ([127, 0, 0, 1].asData, 53)
        change(&socket)
        sample.records.openFiles[file].inet = socket
        return (sample, [])
    }

    private func steps(_ sample: Sample) throws -> [Step] { RestorePlan(for: try sample.valid()).launchpad.programs[0].steps }

    private func option(_ level: UInt32, _ number: UInt32, _ value: [UInt8], device: String = "") throws -> ImageInetOption {
        ImageInetOption(try #require(SocketOption.known(level, number)), value, device: Array(device.utf8))
    }

    private func numbers(of steps: [Step]) -> [Step.Argument] { steps.filter { $0.name == "setsockopt" }.map { $0.arguments[2] } }

    /// What has to be set before the address, and what after it; SO_PEEK_OFF last.
    @Test func optionsHaveAnOrder() throws {
        let (sample, _) = try udp { socket in
            socket.options = [
                try! option(1, SocketOptions.SO_PEEK_OFF, [0, 0, 0, 0]), try! option(1, SocketOptions.SO_REUSEADDR, [1, 0, 0, 0]),
                try! option(0, 11, [1, 0, 0, 0]), try! option(1, SocketOptions.SO_PRIORITY, [5, 0, 0, 0]), try! option(0, 1, [8, 0, 0, 0]),
            ]
            (socket.peer.host, socket.peer.port) = ([10, 0, 0, 1].asData, 99)
        }
        let all = try steps(sample)
        let socket = try #require(all.firstIndex { $0.name == "socket" })
        let part = all[socket...].filter { ["setsockopt", "bind", "connect"].contains($0.name) }
        #expect(part.map(\.name) == ["setsockopt", "setsockopt", "bind", "setsockopt", "setsockopt", "setsockopt", "connect"])
        #expect(numbers(of: part) == [1, 2, 11, 12, 42])
    }

    /// The kernel doubles what is set, and locks it.
    @Test func buffersAreHalved() throws {
        let (sample, _) = try udp { $0.options = [try! option(1, SocketOptions.SO_RCVBUF, [0, 0, 2, 0])] }
        let plan = RestorePlan(for: try sample.valid())
        let set = plan.launchpad.programs[0].steps.filter { $0.name == "setsockopt" }
        #expect(numbers(of: set) == [.number(SocketOptions.SO_RCVBUFFORCE), .number(SocketOptions.SO_BUF_LOCK)])
    }

    /// Numbers of devices are those of this host.
    @Test func devicesAreFoundByName() throws {
        var (sample, _) = try udp { socket in
            socket.family = 10
            (socket.local.host, socket.local.device) = (([0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [1]).asData, Array("eth0".utf8).asData)
            socket.options = [try! option(41, 17, [2, 0, 0, 0], device: "eth0")]
        }
        #expect(try !steps(sample).filter { $0.name == "bind" }.isEmpty)
        sample.facts.devices = [:]
        expectFinding(sample, "network device eth0: is missing")
    }

    private func expectFinding(_ sample: Sample, _ text: String, _ comment: Comment? = nil) {
        do {
            _ = try sample.valid()
            Issue.record("no finding \(text)")
        } catch let refusal as ValidImage.Refusal {
            #expect(refusal.findings.contains { $0.line.contains(text) }, "\(refusal.findings.map(\.line))")
        } catch { Issue.record("\(error)") }
    }

    @Test(arguments: [
        ("socket", "EPERM", "CAP_NET_RAW"), ("bind", "EADDRNOTAVAIL", "address 127.0.0.1: is not one of this host"),
        ("bind", "EADDRINUSE", "UDP socket 127.0.0.1:53: is in use here"), ("bind", "EACCES", "CAP_NET_BIND_SERVICE"),
        ("connect", "ENETUNREACH", "ENETUNREACH"), ("bind", "EINVAL", "bind: EINVAL"),
    ])
    func hostRefuses(call: String, errno: String, text: String) throws {
        var (sample, _) = try udp()
        sample.facts.socketProblems = [try #require(sample.records.openFiles.last).id: SocketProblem(call: call, errno: errno)]
        expectFinding(sample, text)
    }

    @Test func privilegesOfOptions() throws {
        var (sample, _) = try udp { $0.options = [try! option(1, SocketOptions.SO_MARK, [7, 0, 0, 0])] }
        sample.facts.ownCredentials.effective = 0
        expectFinding(sample, "SO_MARK: may not be set")
        (sample, _) = try udp { $0.options = [try! option(1, SocketOptions.SO_PRIORITY, [6, 0, 0, 0])] }
        sample.facts.ownCredentials.effective = 0
        #expect(throws: Never.self) { try sample.valid() }
    }

    /// What waits is sent by a raw socket in the name of its sender.
    @Test func whatWaitsIsSentAgain() throws {
        let (sample, _) = try udp { socket in
            var datagram = ImageInetDatagram()
            (datagram.from.host, datagram.from.port, datagram.bytes) = ([10, 0, 0, 9].asData, 1000, Array("hello".utf8).asData)
            socket.queue = [datagram]
        }
        let all = try steps(sample)
        let sent = try #require(all.first { $0.name == "sendto" })
        // 20 bytes of IP, 8 of UDP.
        #expect(sent.arguments[2] == 33)
        #expect(try #require(all.firstIndex { $0.name == "bind" }) < (try #require(all.firstIndex { $0.name == "sendto" })))
        var other = sample
        other.facts.ownCredentials.effective = 0
        #expect(try !steps(other).contains { $0.name == "sendto" })
    }

    /// Sockets that share a port are bound in their order, and each gets what waited in it while it is chosen.
    @Test func socketsThatShareAPort() throws {
        var (sample, _) = try udp { $0.bindOrder = 9 }
        let file = try #require(sample.records.openFiles.last)
        for (index, order) in [UInt32(3), 7].enumerated() {
            var socket = file.inet
            socket.bindOrder = order
            var datagram = ImageInetDatagram()
            (datagram.from.host, datagram.from.port, datagram.bytes) = ([10, 0, 0, 9].asData, 1000, [UInt8(order)].asData)
            socket.queue = [datagram]
            _ = sample.addFile(.inet(socket), at: [(0, 8 + UInt32(index))])
        }
        let plan = RestorePlan(for: try sample.valid())
        let all = plan.launchpad.programs[0].steps
        let chosen = all.indices.filter { all[$0].name == "setsockopt" && all[$0].arguments[2] == .number(SocketOptions.SO_ATTACH_REUSEPORT_CBPF) }
        let freed = all.indices.filter { all[$0].name == "setsockopt" && all[$0].arguments[2] == .number(SocketOptions.SO_DETACH_REUSEPORT_BPF) }
        let sent = all.indices.filter { all[$0].name == "sendto" }
        let bound = all.indices.filter { all[$0].name == "bind" }
        try #require(chosen.count == 2 && freed.count == 2 && sent.count == 2 && bound.count == 3)
        #expect(bound[0] < chosen[0] && chosen[0] < sent[0] && sent[0] < freed[0] && freed[0] < bound[1] && bound[1] < chosen[1] && freed[1] < bound[2])
        #expect(all[chosen[0]].arguments[0] == all[bound[0]].arguments[0] && all[chosen[1]].arguments[0] == all[bound[1]].arguments[0])
        #expect(Set(bound.map { "\(all[$0].arguments[0])" }).count == 3)
    }

    @Test func spoofedDatagram() throws {
        var datagram = ImageInetDatagram()
        (datagram.from.host, datagram.from.port, datagram.bytes) = ([10, 0, 0, 9].asData, 0x1234, [1, 2, 3].asData)
        var socket = ImageInetSocket()
        (socket.family, socket.type, socket.protocol) = (2, 2, 17)
        (socket.local.host, socket.local.port) = ([0, 0, 0, 0].asData, 0x35)
        let packet = try #require(SpoofedDatagram(of: datagram, to: socket)).packet
        #expect(packet.destination.prefix(8) == [2, 0, 0, 0, 127, 0, 0, 1])
        #expect(Array(packet.bytes[..<26]) == [0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 9, 127, 0, 0, 1, 0x12, 0x34, 0, 0x35, 0, 11])
        // The sum over the pseudo-header, with the checksum, is all ones.
        let summed = Array(packet.bytes[12..<20]) + [0, 11, 0, 17] + packet.bytes[20...]
        #expect(InternetPacket.checksum(summed) == 0)
        (datagram.from.host, socket.local.host) = (([0xfe, 0x80] + [UInt8](repeating: 1, count: 14)).asData, [UInt8](repeating: 0, count: 16).asData)
        #expect(SpoofedDatagram(of: datagram, to: socket) == nil)
        datagram.from.host = ([UInt8](repeating: 0, count: 10) + [255, 255, 10, 0, 0, 1]).asData
        #expect(SpoofedDatagram(of: datagram, to: socket)?.packet.family == 2)
    }

    /// Nothing comes in before filter and options are set.
    @Test func packetSocketIsBoundLate() throws {
        var sample = Sample()
        sample.facts.ownCredentials.effective = .max
        sample.facts.devices = [Array("lo".utf8): 1]
        let file = sample.addFile(.packet(.init()), at: [(0, 7)])
        var socket = ImagePacketSocket()
        (socket.type, socket.protocol, socket.device) = (3, 3, Array("lo".utf8).asData)
        socket.options = [try option(1, SocketOptions.SO_GET_FILTER, [6, 0, 0, 0, 0, 0, 4, 0])]
        var member = ImagePacketMembership()
        (member.device, member.type, member.count) = (socket.device, 1, 2)
        socket.memberships = [member]
        socket.inFanout = true
        sample.records.openFiles[file].packet = socket
        let part = try steps(sample).filter { ["socket", "setsockopt", "bind"].contains($0.name) }
        #expect(part.map(\.name) == ["socket", "setsockopt", "bind", "setsockopt", "setsockopt", "setsockopt"])
        #expect(part[0].arguments[2] == 0 && numbers(of: part) == [26, 1, 1, 18])
    }

    @Test func netlinkSocketGetsItsPort() throws {
        var sample = Sample()
        let file = sample.addFile(.netlink(.init()), at: [(0, 7)])
        var socket = ImageNetlinkSocket()
        (socket.type, socket.protocol, socket.port, socket.groups) = (3, 0, 100, [1, 40])
        sample.records.openFiles[file].netlink = socket
        let part = try steps(sample).filter { ["socket", "setsockopt", "bind"].contains($0.name) }
        #expect(part.map(\.name) == ["socket", "bind", "setsockopt", "setsockopt"])
        sample.facts.socketProblems = [sample.records.openFiles[file].id: SocketProblem(call: "bind", errno: "EADDRINUSE")]
        expectFinding(sample, "port 100 is in use here")
    }
}
