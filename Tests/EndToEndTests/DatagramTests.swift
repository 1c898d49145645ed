import Foundation
import Testing

extension EndToEnd {
    /// Datagrams on their way.
    @Suite(.enabled(if: Host.has("nft"), "needs nftables")) struct Datagrams {
        /// A neighbour that does not answer: what was sent to it waits in the kernel for its address, for seconds. The program has sent it,
        /// and nothing of it is held back.
        @Test func neighbourThatIsMissing() throws {
            let network = try LossyNetwork()
            let scratch = try Scratch()
            let device = "ip link add here type veth peer name there && ip address add 192.0.2.1/24 dev here && ip link set there up && ip link set here up"
            try scratch.run(network.wrapper + ["sh", "-c", device]).require()
            try scratch.write("sender.py", Array(Self.sender.utf8))
            let child = try scratch.start(network.wrapper + ["/usr/bin/python3", scratch.file("sender.py"), scratch.path])
            try #require(Clock.wait(seconds: 20) { scratch.hasLine("ready") || child.poll() != nil }, "\(child.errors)")
            let image = scratch.file("image")
            try scratch.run(network.wrapper + [Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)", "-o", image, "--kill"]).require()
            try child.wait(seconds: 20)
            try #require(scratch.becomesEmpty())
            let (command, _) = try scratch.restart(options: ["--no-pidns", "--pids"], wrapper: network.wrapper)
            try scratch.write("finish")
            #expect(try command.wait(seconds: 30) == .exited(0), "\(command.errors)")
            #expect(scratch.read("result") == "OK\n")
        }

        private static let sender = """
            import os, socket, sys, time
            def write(name, text):
                with open(f"{sys.argv[1]}/{name}", "w") as file: file.write(text)
            end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            end.connect(("192.0.2.2", 9))
            count = 0
            while not os.path.exists(sys.argv[1] + "/finish"):
                try: end.send(b"is anybody there?")
                except OSError: pass
                count += 1
                if count == 3: write("ready", "ready\\n")
                time.sleep(0.05)
            write("result", "OK\\n" if end.getpeername() == ("192.0.2.2", 9) else "wrong peer\\n")
            """
    }
}
