import Foundation
import Testing

extension EndToEnd {
    /// Images that are signed, encrypted, or both.
    @Suite struct Identity {
        struct Keys {
            let scratch: Scratch
            var sign: [String] { ["--sign", scratch.file("key.pem")] }
            var verify: [String] { ["--verify-key", scratch.file("public.pem")] }
            var encrypt: [String] { ["--encrypt", scratch.file("key.bin")] }
            var decrypt: [String] { ["--decrypt", scratch.file("key.bin")] }

            init(_ scratch: Scratch) throws {
                self.scratch = scratch
                for name in ["key", "other"] {
                    try scratch.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", scratch.file(name + ".pem")]).require()
                }
                try scratch.run(["openssl", "pkey", "-in", scratch.file("key.pem"), "-pubout", "-out", scratch.file("public.pem")]).require()
                try scratch.run(["openssl", "pkey", "-in", scratch.file("other.pem"), "-pubout", "-out", scratch.file("stranger.pem")]).require()
                try scratch.write("key.bin", (0..<32).map { _ in UInt8.random(in: 0...255) })
                try scratch.write("wrong.bin", (0..<32).map { _ in UInt8.random(in: 0...255) })
            }

            func write(_ way: String) -> [String] { (way == "encrypted" ? [] : sign) + (way == "signed" ? [] : encrypt) }
            func read(_ way: String) -> [String] { (way == "encrypted" ? [] : verify) + (way == "signed" ? [] : decrypt) }
        }

        /// The check before `--kill` reads it, crimage does, and it restarts from a file and from a pipe.
        @Test(.enabled(if: Host.has("openssl"), "needs openssl"), arguments: ["signed", "encrypted", "both"], ["file", "pipe"])
        func restarts(way: String, from: String) throws {
            let scratch = try Scratch()
            let keys = try Keys(scratch)
            let child = try scratch.startWorkload("anon", ["8"])
            try scratch.checkpointAndKill(child.pid, of: child, options: keys.write(way))
            let image = scratch.file("image")
            for command in ["info", "tree", "files", "memory", "json", "threads"] { try scratch.run("crimage", [command] + keys.read(way) + [image]).require() }
            try scratch.run("crimage", ["verify"] + keys.read(way) + [image]).require()
            let options = (["--copy-status", "--pidns"] + keys.read(way)).joined(separator: " ")
            let restarted =
                from == "file"
                ? try scratch.restart(options: ["--pidns"] + keys.read(way)).command
                : try scratch.start(["sh", "-c", "cat \(image) | exec \(Host.path(of: "crrestart")) \(options) -"])
            try scratch.finishWorkload("anon", restarted)
        }

        /// A wrong key, and one that is missing, are told before anything is read; nothing is created.
        @Test(.enabled(if: Host.has("openssl"), "needs openssl")) func wrongKeys() throws {
            let scratch = try Scratch()
            let keys = try Keys(scratch)
            let child = try scratch.startWorkload("threads", ["2"])
            let (plain, sealed) = (scratch.file("plain"), scratch.file("sealed"))
            try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", plain]).require()
            try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", sealed] + keys.sign + keys.encrypt).require()
            func refused(_ image: String, _ options: [String], _ status: Int32, _ words: String) throws {
                for command in [["crrestart", "--pidns"], ["crimage", "verify"]] {
                    let done = try scratch.run(command[0], Array(command.dropFirst()) + options + [image]).expect(status)
                    #expect(done.errors.contains(words), "\(command) \(options): \(done.errors)")
                }
            }
            try refused(sealed, [], 1, "it is encrypted (--decrypt")
            try refused(sealed, ["--decrypt", scratch.file("wrong.bin")], 1, "it was not encrypted with this key")
            try refused(sealed, keys.decrypt + ["--verify-key", scratch.file("stranger.pem")], 2, "another key than this one has signed it")
            try refused(plain, keys.verify, 2, "it is not signed")
            try refused(plain, keys.decrypt, 2, "it is not encrypted")
            try refused(sealed, ["--decrypt", scratch.file("none")], 1, "cannot read key \(scratch.file("none")): ENOENT")
            try refused(sealed, keys.decrypt + ["--verify-key", scratch.file("key.pem")], 1, "it holds a private key")
            let short = try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("short"), "--encrypt", "/dev/null"]).expect(1)
            #expect(short.errors.contains("fewer than 32 bytes") && !scratch.exists("short"), "\(short.errors)")
            // One byte in the middle of the pages.
            var bytes = scratch.bytes("sealed")
            bytes[bytes.count / 2] ^= 1
            try scratch.write("damaged", bytes)
            try refused(scratch.file("damaged"), keys.decrypt + keys.verify, 2, "the signature of the piece at 0x")
            try refused(scratch.file("damaged"), keys.decrypt, 2, "the piece at 0x")
            #expect(scratch.living().map(\.pid).sorted() == ProcessTable.tree(of: child.pid).map(\.pid).sorted())
            try scratch.finishWorkload("threads", child)
        }

        /// From one command into the other: no image of it lies anywhere.
        @Test(.enabled(if: Host.has("openssl"), "needs openssl")) func streamed() throws {
            let scratch = try Scratch()
            let keys = try Keys(scratch)
            let child = try scratch.startWorkload("processes", ["3"])
            let (save, restart) = (Host.path(of: "crcheckpoint"), Host.path(of: "crrestart"))
            let script = """
                mkfifo \(scratch.file("ack"))
                \(save) --tree \(child.pid) -o - --kill --ack 3 \((keys.sign + keys.encrypt).joined(separator: " ")) 3< \(scratch.file("ack")) |
                \(restart) --pidns --copy-status --ack 1 \((keys.verify + keys.decrypt).joined(separator: " ")) - > \(scratch.file("ack"))
                """
            let both = try scratch.start(["bash", "-c", script])
            try child.wait(seconds: 20)
            try scratch.finishWorkload("processes", both)
        }
    }
}
