import Foundation
import Testing

/// A network namespace with a loopback device that loses packets.
final class LossyNetwork {
    let name = "treerestore-\(getpid())-\(UInt32.random(in: .min ... .max))"
    /// What runs a program in it.
    var wrapper: [String] { ["nsenter", "--net=/run/netns/\(name)"] }

    init() throws {
        let scratch = try Scratch()
        try scratch.run(["ip", "netns", "add", name]).require()
        try scratch.run(wrapper + ["ip", "link", "set", "lo", "up"]).require()
        try scratch.write(
            "loss", Array("table inet loss {\n chain in { type filter hook input priority 0; policy accept;\n numgen random mod 50 0 drop\n }\n}\n".utf8))
        try scratch.run(wrapper + ["nft", "-f", scratch.file("loss")]).require()
    }

    deinit { _ = try? Scratch().run(["ip", "netns", "del", name]) }
}
