import Foundation
import Testing

extension EndToEnd {
    /// Network servers are ended and restarted under load; their clients, which are outside, notice a pause.
    @Suite(.enabled(if: Host.has("nft"), "needs nftables")) struct NetworkServers {
        /// A server, the clients of it, and the programs that it takes.
        enum Server: String, CaseIterable {
            case redis, memcached, nginx, apache, mosquitto, sshd, tls, postgresql

            var clients: String {
                switch self {
                case .nginx, .apache: "web"
                case .mosquitto: "mqtt"
                default: rawValue
                }
            }

            var isInstalled: Bool {
                switch self {
                case .redis: Host.has("redis-server")
                case .apache: Host.has("apache2")
                case .tls: Host.has("openssl")
                case .postgresql: !((try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []).isEmpty
                default: Host.has(rawValue)
                }
            }

            static let installed = allCases.filter(\.isInstalled)
        }

        @Test func allAreInstalled() {
            let missing = Server.allCases.filter { !$0.isInstalled }
            #expect(missing.isEmpty, "not tried: \(missing); scripts/setup --tests installs them")
        }

        @Test(arguments: Server.installed) func endedAndRestarted(server: Server) throws {
            let session = try NetworkSession(server.rawValue, clients: server.clients)
            try session.endAndRestart(.here, pause: 3)
            try session.endAndRestart(.namespace, pause: 0.5)
            try session.finish()
        }

        /// One of fifty packets is lost, in a network namespace of the test's own.
        @Test(arguments: [Server.redis, .nginx, .tls].filter(\.isInstalled)) func packetsAreLost(server: Server) throws {
            let network = try LossyNetwork()
            let session = try NetworkSession(server.rawValue, clients: server.clients, in: network)
            try session.endAndRestart(.here, pause: 1)
            try session.finish()
        }

        /// `wrk` counts every error; a checkpoint that leaves the server running, then one that ends it.
        @Test(.enabled(if: Host.has("wrk") && Server.nginx.isInstalled, "needs wrk and nginx")) func nginxUnderWrk() throws {
            let session = try NetworkSession("nginx", clients: "web")
            let load = try session.scratch.start([
                "wrk", "-t", "2", "-c", "30", "-d", "12s", "--timeout", "20s", "http://127.0.0.1:\(session.port)/small",
            ])
            Clock.sleep(1)
            for _ in 0..<3 { try session.checkpoint() }
            try session.endAndRestart(.here, pause: 2)
            #expect(try load.wait(seconds: 60) == .exited(0))
            #expect(load.output.contains("requests in") && !load.output.contains("Socket errors") && !load.output.contains("Non-2xx"), "\(load.output)")
            try session.finish()
        }
    }
}

/// A server, which is the tree, and its clients.
private final class NetworkSession {
    let scratch: Scratch
    let port = Int.random(in: 20000..<30000)
    private var server: Child
    private var root: pid_t
    private let clients: Child
    private let wrapper: [String]
    private let network: LossyNetwork?

    init(_ kind: String, clients name: String, in network: LossyNetwork? = nil) throws {
        scratch = try Scratch()
        self.network = network
        wrapper = network?.wrapper ?? []
        server = try scratch.start(wrapper + [Host.programs + "/netserver.sh", kind, "\(port)", scratch.path])
        root = server.pid
        let isThere = Clock.wait(seconds: 60) { [server, scratch, wrapper, port] in
            if server.poll() != nil { return true }
            let probe = try? scratch.run(wrapper + ["bash", "-c", "exec 2> /dev/null; : < /dev/tcp/127.0.0.1/\(port)"])
            return probe?.status == .exited(0) && (kind != "redis" || scratch.exists("listening"))
        }
        try #require(isThere && server.poll() == nil, "\(kind): \(server.errors)\(scratch.read("server.log"))")
        clients = try scratch.start(wrapper + ["/usr/bin/python3", Host.programs + "/netclients.py", name, "\(port)", scratch.path])
        let isReady = Clock.wait(seconds: 60) { [clients, scratch] in scratch.exists("ready") || clients.poll() != nil }
        try #require(isReady && clients.poll() == nil, "\(scratch.read("result"))\(clients.errors)")
    }

    func checkpoint(_ options: [String] = []) throws {
        let arguments = ["--tree", "\(root)", "-o", scratch.file("image"), "--force"] + options
        try scratch.run(wrapper + [Host.path(of: "crcheckpoint")] + arguments).require()
    }

    func endAndRestart(_ place: Place, pause: Double) throws {
        let tree = Set(ProcessTable.tree(of: root).map(\.pid)).union([root])
        try checkpoint(["--kill"])
        try server.wait(seconds: 20)
        let isGone = Clock.wait(seconds: 30) { [scratch] in
            _ = scratch.reapOrphans()
            return !ProcessTable.all().contains { tree.contains($0.pid) }
        }
        try #require(isGone, "after --kill there are processes left")
        Clock.sleep(pause)
        (server, root) = try scratch.restart(options: place.options, wrapper: wrapper)
        Clock.sleep(1)
        #expect(clients.poll() == nil, "\(scratch.read("result"))\(clients.errors)")
    }

    func finish() throws {
        try scratch.write("finish")
        #expect(try clients.wait(seconds: 90) == .exited(0))
        #expect(scratch.read("result") == "OK", "\(clients.errors)")
        kill(root, SIGTERM)
        _ = try? server.wait(seconds: 5)
        scratch.killAll()
    }
}
