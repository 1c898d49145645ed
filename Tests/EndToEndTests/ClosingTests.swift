import Foundation
import Testing

extension EndToEnd {
    /// TCP connections that are on their way to the end, with the other end outside of the tree.
    @Suite(.enabled(if: Host.has("nft"), "needs nftables")) struct Closings {
        /// Each is in the same state after a restart, and all that was sent arrives, also what came after.
        @Test(arguments: [false, true]) func statesStay(packetsAreLost: Bool) throws {
            let network = packetsAreLost ? try LossyNetwork() : nil
            let wrapper = network?.wrapper ?? []
            let scratch = try Scratch()
            let outside = try scratch.start(wrapper + Self.command("closings.py", "outside", scratch))
            let tree = try scratch.start(wrapper + Self.command("closings.py", "tree", scratch))
            let isReady = Clock.wait(seconds: 60) { scratch.exists("ready") || tree.poll() != nil || outside.poll() != nil }
            try #require(isReady && scratch.exists("ready"), "\(scratch.read("told"))\(scratch.read("result"))")
            var (command, root) = (tree, tree.pid)
            for place in Place.allCases {
                try scratch.run(wrapper + [Host.path(of: "crcheckpoint"), "--tree", "\(root)", "-o", scratch.file("image"), "--force", "--kill"]).require()
                try command.wait(seconds: 20)
                try #require(scratch.isGone(but: outside.pid))
                (command, root) = try scratch.restart(options: place.options, wrapper: wrapper)
            }
            try scratch.write("look")
            try #require(Clock.wait(seconds: 20) { scratch.exists("states") || command.poll() != nil }, "\(scratch.read("told"))")
            // What a peer gets on a network that loses packets can be acknowledged by now or not.
            if !packetsAreLost { #expect(scratch.read("states") == "FIN-WAIT-2 CLOSE-WAIT FIN-WAIT-1 LAST-ACK CLOSING") }
            try scratch.write("finish")
            // What the kernel knew of the time that packets take is gone: a lost one can cost many seconds then.
            #expect(try command.wait(seconds: 170) == .exited(0), "\(scratch.read("told"))\(command.errors)")
            #expect(try outside.wait(seconds: 170) == .exited(0), "\(scratch.read("result"))\(outside.errors)")
            #expect(scratch.read("told") == "OK" && scratch.read("result") == "OK")
        }

        /// A connection that the program has closed belongs to the kernel: that sends the rest after the end of the tree, and the checkpoint
        /// says so. Without SO_REUSEADDR its port is free only a minute after
        /// that.
        @Test(arguments: [true, false]) func closedWithMuchToSend(reusesAddress: Bool) throws {
            let scratch = try Scratch()
            let client = try scratch.start(Self.command("leaving.py", "client", scratch))
            let server = try scratch.start(Self.command("leaving.py", "serve", scratch) + [reusesAddress ? "1" : "0"])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") || server.poll() != nil }, "\(server.errors)")
            let finished = try scratch.run("crcheckpoint", ["--tree", "\(server.pid)", "-o", scratch.file("image"), "--kill"]).require()
            let name = "127.0.0.1:\(scratch.read("port"))"
            let notice = finished.errorLines.first { $0.contains("\(name): 1 connection that the program has closed still sends (") }
            #expect(notice?.contains(" to 127.0.0.1:") == true && notice?.contains("SO_REUSEADDR") == !reusesAddress, "\(finished.errors)")
            try server.wait(seconds: 20)
            try #require(scratch.isGone(but: client.pid))
            guard reusesAddress else {
                let refused = try scratch.run("crrestart", ["--no-pidns", scratch.file("image")])
                #expect(refused.status != .exited(0))
                #expect(refused.errors.contains("address \(name)") && refused.errors.contains("until closed connections of this port are gone"), "\(refused.errors)")
                try receiveAll(scratch, client)
                return scratch.killAll()
            }
            let (command, root) = try scratch.restart(.here)
            try receiveAll(scratch, client)
            try scratch.write("finish")
            #expect(try client.wait(seconds: 60) == .exited(0), "\(client.errors)")
            #expect(scratch.read("result") == "OK")
            kill(root, SIGTERM)
            try command.wait(seconds: 20)
        }

        private func receiveAll(_ scratch: Scratch, _ client: Child) throws {
            try scratch.write("receive")
            try #require(Clock.wait(seconds: 60) { scratch.exists("received") || client.poll() != nil }, "\(client.errors)")
        }

        private static func command(_ program: String, _ role: String, _ scratch: Scratch) -> [String] {
            ["/usr/bin/python3", "\(Host.programs)/\(program)", role, scratch.path]
        }
    }
}

extension Scratch {
    /// Waits until one process is all that is left.
    fileprivate func isGone(but pid: pid_t) -> Bool {
        Clock.wait(seconds: 30) { living().allSatisfy { $0.pid == pid } && reapOrphans() == 0 }
    }
}
