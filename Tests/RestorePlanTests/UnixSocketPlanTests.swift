import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// Plans and refusals of unix sockets.
@Suite struct UnixSocketPlanTests {
    private func steps(_ sample: Sample, of index: Int = 0) throws -> [Step] {
        RestorePlan(for: try sample.valid()).launchpad.programs[index].steps
    }

    /// Two sockets of the second process that are connected with each other.
    private func pair(in sample: inout Sample, type: UInt32) -> (Int, Int) {
        let first = sample.addFile(.unix(.init()), at: [(1, 7)])
        let second = sample.addFile(.unix(.init()), at: [(1, 8)])
        for (index, other) in [(first, second), (second, first)] {
            sample.records.openFiles[index].unix.type = type
            sample.records.openFiles[index].unix.peer = sample.records.openFiles[other].id
        }
        return (first, second)
    }

    private func index(_ name: String, in steps: [Step]) throws -> Int {
        try #require(steps.firstIndex { $0.name == name }, "no \(name)")
    }

    /// The root makes pairs, whatever process has them; it fills them before it shuts them down.
    @Test func socketPairIsMadeByTheRoot() throws {
        var sample = Sample()
        let (first, second) = pair(in: &sample, type: 5)
        var message = ImageUnixMessage()
        message.bytes = Array("waits".utf8).asData
        sample.records.openFiles[first].unix.queue = [message, message]
        sample.records.openFiles[second].unix.shutdown = 2
        let root = try steps(sample)
        let pair = try index("socketpair", in: root)
        #expect(root[pair].arguments[1] == .value(5 | 0o2000000))
        #expect(pair < (try index("clone3", in: root)))
        #expect(root.filter { $0.name == "sendmsg" }.map(\.check) == [.equals(5), .equals(5)])
        #expect(try index("sendmsg", in: root) < (try index("shutdown", in: root)))
        #expect(root.first { $0.name == "shutdown" }?.arguments[1] == 1)
        #expect(try !steps(sample, of: 1).contains { $0.name == "socketpair" || $0.name == "sendmsg" })
    }

    /// Messages are sent in the name of their senders, one process for each row of them; the root sends its own.
    @Test func credentialsOfSenders() throws {
        var sample = Sample()
        let (first, _) = pair(in: &sample, type: 1)
        let pids = sample.records.processes.map(\.pid)
        sample.records.openFiles[first].unix.queue = [pids[1], pids[1], pids[0], 0].map { pid in
            var message = ImageUnixMessage()
            message.bytes = [1].asData
            if pid != 0 { (message.sender.process, message.sender.user, message.sender.group) = (pid, 5, 6) }
            return message
        }
        let plan = RestorePlan(for: try sample.valid())
        let root = plan.launchpad.programs[0].steps
        #expect(root.count { $0.name == "sendmsg" } == 2)
        let substitutes = plan.launchpad.programs.filter { $0.title.hasSuffix("for a moment") }
        #expect(substitutes.map { program in program.steps.count { $0.name == "sendmsg" } } == [2])
        #expect(UnixSocketPlan.credentials(sample.records.openFiles[first].unix.queue[0].sender).count == 32)
        #expect(UnixSocketPlan.credentials(.init()).isEmpty)
        // Without a choice of numbers there is no process with that of the sender.
        sample.options.usesLastPid = true
        #expect(try sample.findings().contains { $0.contains("a message of process \(pids[1]) waits in it with its credentials, in whose name it cannot be sent here") })
    }

    /// Descriptors in flight are sent when the files that they lead to exist: here, over the socket itself.
    @Test func descriptorsInFlight() throws {
        var sample = Sample()
        let (first, _) = pair(in: &sample, type: 1)
        var message = ImageUnixMessage()
        message.bytes = [1].asData
        message.files = [sample.records.openFiles[first].id]
        sample.records.openFiles[first].unix.queue = [message]
        #expect(try !steps(sample).contains { $0.name == "sendmsg" })
        #expect(try steps(sample, of: 1).filter { $0.name == "sendmsg" }.count == 1)
    }

    /// Its peer is made, sends what waits, leaves something unread, and is closed.
    @Test func socketWhosePeerIsGone() throws {
        var sample = Sample()
        let file = sample.addFile(.unix(.init()), at: [(0, 7)])
        sample.records.openFiles[file].unix.type = 1
        sample.records.openFiles[file].unix.peerGone = true
        sample.records.openFiles[file].unix.reset = true
        let root = try steps(sample)
        let byte = try index("sendto", in: root)
        #expect(try index("socketpair", in: root) < byte)
        #expect(root[byte + 1].name == "close")
        #expect(!root.contains { $0.name == "shutdown" })
    }

    private func named(_ address: String, in directory: String = "/run") -> ImageUnixSocket {
        var socket = ImageUnixSocket()
        socket.type = 1
        socket.listening = true
        socket.backlog = 7
        socket.address = Array(address.utf8).asData
        socket.name.directory = Array(directory.utf8).asData
        (socket.name.inode, socket.name.device, socket.name.mode) = (5, 6, 0o755)
        return socket
    }

    /// Binds, connects, accepts, lets another wait, and takes the backlog that it had.
    @Test func listeningSocket() throws {
        var sample = Sample()
        var listener = named("/run/x")
        let server = sample.addFile(.unix(.init()), at: [(0, 7)])
        let accepted = sample.addFile(.unix(.init()), at: [(0, 8)])
        let client = sample.addFile(.unix(.init()), at: [(1, 8)])
        let waiting = sample.addFile(.unix(.init()), at: [(1, 9)])
        let ids = [accepted, client, waiting].map { sample.records.openFiles[$0].id }
        listener.waiting = [ids[2]]
        var other = listener
        (other.listening, other.waiting, other.peer) = (false, [], ids[1])
        sample.records.openFiles[server].unix = listener
        sample.records.openFiles[accepted].unix = other
        sample.records.openFiles[client].unix.type = 1
        sample.records.openFiles[client].unix.peer = ids[0]
        sample.records.openFiles[waiting].unix.type = 1
        let names = try steps(sample).map(\.name).filter { ["socket", "bind", "listen", "connect", "accept4", "unlinkat"].contains($0) }
        #expect(names == ["socket", "bind", "listen", "socket", "connect", "accept4", "socket", "connect", "listen"])
        #expect(try steps(sample).last { $0.name == "listen" }?.arguments[1] == 7)
    }

    /// The file of the old socket is removed first; another file of this name, a name in use, and a missing directory are found.
    @Test func nameThatIsTaken() throws {
        var sample = Sample()
        let file = sample.addFile(.unix(.init()), at: [(0, 7)])
        sample.records.openFiles[file].unix = named("/run/x")
        var there = HostFacts.File(size: 0, modified: 0, mode: 0o140755, buildID: [])
        (there.inode, there.device) = (5, 6)
        sample.facts.files[Array("/run/x".utf8)] = .success(there)
        let names = try steps(sample).map(\.name)
        #expect(names.firstIndex(of: "unlinkat") ?? .max < names.firstIndex(of: "bind") ?? 0)
        sample.facts.socketNames = [[1] + Array("/run/x".utf8)]
        #expect(try sample.findings().contains { $0.contains("is in use here, needed by the socket at fd 7") })
        sample.facts.socketNames = []
        there.inode = 9
        sample.facts.files[Array("/run/x".utf8)] = .success(there)
        #expect(try sample.findings().contains { $0.contains("is another file than at the checkpoint") })
        // A socket that is closed by now has left it.
        sample.facts.boundSockets = [9]
        #expect(try sample.findings().contains { $0.contains("is another file than at the checkpoint") })
        sample.facts.boundSockets = []
        #expect(try steps(sample).contains { $0.name == "unlinkat" })
        there.mode = 0o100644
        sample.facts.files[Array("/run/x".utf8)] = .success(there)
        #expect(try sample.findings().contains { $0.contains("is another file than at the checkpoint") })
        sample.facts.files = [Array("/run".utf8): .failure(MissingFile(errno: "ENOENT"))]
        #expect(try sample.findings().contains { $0.contains("/run: ENOENT, the directory of the socket") })
    }

    /// A relative name is bound in the directory in which it was; a removed one is removed again.
    @Test func relativeName() throws {
        var sample = Sample()
        let file = sample.addFile(.unix(.init()), at: [(0, 7)])
        sample.records.openFiles[file].unix = named("a/x", in: "/run/b/a")
        sample.records.openFiles[file].unix.name.removed = true
        #expect(sample.records.openFiles[file].unix.workingDirectory == Array("/run/b".utf8))
        let names = try steps(sample).map(\.name).filter { ["fchdir", "bind", "listen", "unlinkat"].contains($0) }
        #expect(names.prefix(5) == ["fchdir", "bind", "listen", "listen", "unlinkat"])
    }

    /// What a connection has sent that is not accepted is sent again by one with the number of the process that connected it.
    @Test func sentBeforeItIsAccepted() throws {
        var sample = Sample()
        let listener = sample.addFile(.unix(.init()), at: [(0, 7)])
        let client = sample.addFile(.unix(.init()), at: [(1, 8)])
        var state = ImageUnixSocket()
        (state.type, state.listening, state.backlog) = (1, true, 5)
        state.address = [UInt8]([0, 65]).asData
        state.waiting = [sample.records.openFiles[client].id]
        sample.records.openFiles[listener].unix = state
        var message = ImageUnixMessage()
        message.bytes = [UInt8]([1, 2, 3]).asData
        sample.records.openFiles[client].unix.type = 1
        sample.records.openFiles[client].unix.early = [message]
        sample.records.openFiles[client].unix.connector.process = sample.records.processes[1].pid
        let programs = RestorePlan(for: try sample.valid()).launchpad.programs
        #expect(programs.last?.steps.map(\.name) == ["connect", "sendmsg", "exit_group"])
        let names = programs[0].steps.map(\.name)
        #expect(!names.contains("connect") && names.contains("listen"))
    }

    /// Where a file comes with it, all is sent when that exists, by the process that has the client.
    @Test func sentWithAFileBeforeItIsAccepted() throws {
        var sample = Sample()
        let listener = sample.addFile(.unix(.init()), at: [(0, 7)])
        let client = sample.addFile(.unix(.init()), at: [(0, 8)])
        let event = sample.addFile(.event(.init()), at: [(0, 9)])
        var state = ImageUnixSocket()
        (state.type, state.listening, state.backlog, state.address) = (1, true, 5, [UInt8]([0, 65]).asData)
        state.waiting = [sample.records.openFiles[client].id]
        sample.records.openFiles[listener].unix = state
        var messages = [ImageUnixMessage(), ImageUnixMessage()]
        for index in messages.indices { messages[index].bytes = [UInt8]([1, 2, 3]).asData }
        messages[1].files = [sample.records.openFiles[event].id]
        (sample.records.openFiles[client].unix.type, sample.records.openFiles[client].unix.early) = (1, messages)
        let steps = RestorePlan(for: try sample.valid()).launchpad.programs[0].steps
        let sent = steps.indices.filter { steps[$0].name == "sendmsg" }
        try #require(sent.count == 2)
        #expect(try index("connect", in: steps) < sent[0] && index("eventfd2", in: steps) < sent[0])
        #expect(steps[sent[0]].arguments[0] == steps[sent[1]].arguments[0])
    }

    /// SO_PEERCRED: one with the number of a process that does not exist yet makes the pair and ends.
    @Test func inTheNameOfAnother() throws {
        var sample = Sample()
        let (first, second) = pair(in: &sample, type: 1)
        for index in [first, second] { sample.records.openFiles[index].unix.peerCredentials.process = sample.records.processes[1].pid }
        let plan = RestorePlan(for: try sample.valid())
        let programs = plan.launchpad.programs
        #expect(!programs[0].steps.contains { $0.name == "socketpair" })
        #expect(programs.last?.steps.map(\.name) == ["socketpair", "exit_group"])
        let made = try index("clone3", in: programs[0].steps)
        #expect(programs[0].steps[made].arguments[4] == .slot(plan.launchpad.slots - 1))
        #expect(programs[0].steps[made].arguments[5] == .program(programs.count - 1))
        #expect(programs[0].steps[made + 1].name == "wait4")
    }

    /// It has the user of the process and the rights of crrestart; if it fails, the root does not go on without it.
    @Test func inTheNameOfAnotherUser() throws {
        var sample = Sample()
        let (first, second) = pair(in: &sample, type: 1)
        for index in [first, second] {
            sample.records.openFiles[index].unix.peerCredentials.process = sample.records.processes[1].pid
            sample.records.openFiles[index].unix.peerCredentials.user = 101
            sample.records.openFiles[index].unix.peerCredentials.group = 104
        }
        sample.facts.ownCredentials.effective = .max
        let programs = RestorePlan(for: try sample.valid()).launchpad.programs
        let names = programs.last?.steps.map(\.name)
        #expect(names == ["prctl", "setresgid", "setfsgid", "setresuid", "setfsuid", "socketpair", "exit_group"])
        let made = try index("wait4", in: programs[0].steps)
        let (wait, compare) = (programs[0].steps[made], programs[0].steps[made + 1])
        #expect(compare.name == "futex" && compare.check == .equals(0))
        #expect(compare.arguments[0] == wait.arguments[1] && compare.arguments[5] == 0)
    }

    /// No accept waits for a connection that failed; the listening socket has its own flags at the end.
    @Test func listeningSocketDoesNotWait() throws {
        var sample = Sample()
        let server = sample.addFile(.unix(.init()), at: [(0, 7)])
        sample.records.openFiles[server].unix = named("/run/x")
        let root = try steps(sample)
        #expect(root.first { $0.name == "socket" }?.arguments[1] == .value(1 | 0o2004000))
        #expect(root.last { $0.name == "fcntl" && $0.arguments[1] == 4 }?.arguments[2] == 0)
    }
}
