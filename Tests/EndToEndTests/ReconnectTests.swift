import Foundation
import Testing

extension EndToEnd {
    /// `crrestart --reconnect`: connections with a server outside of the tree, whose sockets `crcheckpoint --external` let through.
    @Suite struct Reconnected {
        /// The server notes each connection with the user of its other end, and what it receives, and answers; the client is a child with
        /// the socket at 7.
        private static let script = """
            import os, socket, struct, sys, time
            side, kind, folder, name = sys.argv[1:5]
            kind = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM, "seqpacket": socket.SOCK_SEQPACKET}[kind]
            name = "\\0" + name[1:] if name[0] == "@" else name
            def say(word):
                with open(folder + "/" + word + ".new", "w") as file: file.write(str(os.getpid()))
                os.rename(folder + "/" + word + ".new", folder + "/" + word)
            def note(text):
                with open(folder + "/seen", "a") as file: file.write(text + "\\n")
            if side == "server":
                if name[0] == "/" and os.path.exists(name): os.unlink(name)
                server = socket.socket(socket.AF_UNIX, kind)
                server.bind(name)
                if kind == socket.SOCK_DGRAM:
                    say("server")
                    while True: note(server.recv(100).decode())
                server.listen(5)
                say("server")
                while True:
                    one, _ = server.accept()
                    note("from %d user %d" % struct.unpack("iii", one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[:2])
                    one.send(b"welcome")
                    while True:
                        text = one.recv(100)
                        if not text: break
                        note(text.decode())
                        if text == b"after": one.send(b"answer")
            if os.fork(): sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
            client = socket.socket(socket.AF_UNIX, kind)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 20, 0))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 5)
            client.connect(name)
            own = client.detach()
            os.dup2(own, 7)
            os.close(own)
            os.dup2(7, 8)
            client = socket.socket(fileno=7)
            client.send(b"before")
            say("client")
            while not os.path.exists(folder + "/finish"): time.sleep(0.02)
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY) == 5
            if kind != socket.SOCK_DGRAM: assert client.recv(100) == b"welcome"
            client.send(b"after")
            if kind != socket.SOCK_DGRAM: assert socket.socket(fileno=8).recv(100) == b"answer"
            """

        private func server(_ scratch: Scratch, _ kind: String, _ name: String) throws -> Child {
            scratch.remove("server")
            let server = try scratch.start(["python3", scratch.file("talk.py"), "server", kind, scratch.path, name])
            try #require(Clock.wait(seconds: 20) { scratch.exists("server") }, "\(server.errors)")
            return server
        }

        @Test(arguments: [("stream", true), ("datagram", true), ("seqpacket", false)], Place.allCases)
        func connection(_ how: (kind: String, hasPath: Bool), place: Place) throws {
            let scratch = try Scratch()
            try scratch.write("talk.py", Array(Self.script.utf8))
            let name = how.hasPath ? scratch.file("socket") : "@treerestore-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
            let first = try server(scratch, how.kind, name)
            let client = try scratch.start(["python3", scratch.file("talk.py"), "client", how.kind, scratch.path, name])
            try #require(Clock.wait(seconds: 20) { scratch.exists("client") && scratch.read("seen").contains("before") }, "\(client.errors)")
            let pid = scratch.read("client")
            let socket = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/7")
            let refused = try scratch.run("crcheckpoint", ["--tree", "\(client.pid)", "-o", scratch.file("image"), "--kill"]).expect(4)
            #expect(refused.errors.contains("crrestart --fd 7=null, or --reconnect '\(socket)'"), "\(refused.errors)")
            let done = try scratch.run("crcheckpoint", ["--tree", "\(client.pid)", "-o", scratch.file("image"), "--kill", "--external", socket]).require()
            let loss = how.kind == "datagram" ? "" : ", without the 7 bytes that it has not received"
            #expect(done.errors.contains("crrestart --reconnect '\(socket)' connects it again with \(name)\(loss)"), "\(done.errors)")
            _ = try client.wait(seconds: 20)

            // Nothing listens there: before anything is created, and in a dry run.
            first.end()
            for (isThere, errno) in [(how.hasPath, "ECONNREFUSED"), (false, how.hasPath ? "ENOENT" : "ECONNREFUSED")] {
                if !isThere { scratch.remove("socket") }
                for options in [["--dry-run"], []] {
                    let lost = try scratch.run("crrestart", place.options + options + ["--reconnect", socket, scratch.file("image")]).expect(3)
                    #expect(lost.errors.contains("--reconnect \(socket): \(name): \(errno) (start the program that listens there)"), "\(lost.errors)")
                    #expect(scratch.living().isEmpty)
                }
            }
            let second = try server(scratch, how.kind, name)
            let shown = try scratch.run("crrestart", place.options + ["--dry-run", "--reconnect", socket, scratch.file("image")]).require()
            #expect(shown.output.contains("connects with \(name) again"), "\(shown.output)")
            scratch.remove("seen")
            let (command, _) = try scratch.restart(place, options: ["--reconnect", socket])
            try scratch.write("finish")
            #expect(try command.wait(seconds: 30) == .exited(0), "\(command.errors)")
            #expect(command.errors.contains("\(name) is connected anew\(loss)"), "\(command.errors)")
            #expect(Clock.wait(seconds: 20) { scratch.read("seen").contains("after") }, "\(scratch.read("seen"))")
            // The process that has the socket has connected it, not crrestart.
            if place == .here && how.kind != "datagram" { #expect(scratch.read("seen").hasPrefix("from \(pid) user \(getuid())\n"), "\(scratch.read("seen"))") }
            second.end()
        }

        /// A client of redis, which does not notice that its server knows another connection.
        @Test(.enabled(if: Host.has("redis-server"), "needs redis"), arguments: Place.allCases)
        func redis(place: Place) throws {
            let scratch = try Scratch()
            let name = scratch.file("redis.sock")
            let server = try scratch.start(["redis-server", "--port", "0", "--unixsocket", name, "--save", "", "--dir", scratch.path])
            try #require(Clock.wait(seconds: 20) { scratch.exists("redis.sock") }, "\(server.output)\(server.errors)")
            try scratch.write("orders")
            let client = try scratch.start(["bash", "-c", "tail -s 0.02 -n +1 -f \(scratch.file("orders")) | redis-cli -s \(name) > \(scratch.file("replies"))"])
            func order(_ text: String, _ reply: String) throws {
                let file = try #require(FileHandle(forWritingAtPath: scratch.file("orders")))
                try file.seekToEnd()
                try file.write(contentsOf: Data((text + "\n").utf8))
                #expect(Clock.wait(seconds: 20) { scratch.read("replies").hasSuffix(reply + "\n") }, "\(text): \(scratch.read("replies"))")
            }
            try order("SET count 41", "OK")
            let cli = try #require(ProcessTable.tree(of: client.pid).first { $0.command == "redis-cli" })
            let socket = try #require(
                try FileManager.default.contentsOfDirectory(atPath: "/proc/\(cli.pid)/fd").lazy
                    .compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(cli.pid)/fd/\($0)") }.first { $0.hasPrefix("socket:") })
            let done = try scratch.run("crcheckpoint", ["--tree", "\(client.pid)", "-o", scratch.file("image"), "--kill", "--external", socket]).require()
            #expect(done.errors.contains("crrestart --reconnect '\(socket)' connects it again with \(name)"), "\(done.errors)")
            _ = try client.wait(seconds: 20)
            let before = try connections(scratch, name)
            let (command, root) = try scratch.restart(place, options: ["--reconnect", socket])
            try order("INCR count", "42")
            #expect(try connections(scratch, name) == before + 1)
            kill(root, SIGKILL)
            _ = try command.wait(seconds: 20)
            server.end()
        }

        /// How many connections a server of redis has had, without the one that asks.
        private func connections(_ scratch: Scratch, _ name: String) throws -> Int {
            let told = try scratch.run(["redis-cli", "-s", name, "INFO", "clients"]).require().output
            let line = try #require(told.split(separator: "\r\n").first { $0.hasPrefix("connected_clients:") }, "\(told)")
            return try #require(Int(line.dropFirst("connected_clients:".count)))
        }

        /// What was let through and cannot be connected anew, and names that mean nothing.
        @Test func choicesThatCannotBeMade() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("events")
            try scratch.checkpointAndKill(child.pid, of: child)
            for (name, status, text) in [
                ("socket:[1]", Int32(3), "cannot use --reconnect socket:[1]: EBADF (no process of the tree has that"), ("7", 64, "the name of a socket is expected"),
            ] {
                let refused = try scratch.run("crrestart", ["--pidns", "--reconnect", name, scratch.file("image")]).expect(status)
                #expect(refused.errors.contains(text), "\(refused.errors)")
                #expect(scratch.living().isEmpty)
            }
        }
    }
}
