import Foundation
import Testing

extension EndToEnd {
    /// Programs that confine themselves, or are confined by what starts them, by seccomp(2).
    @Suite struct Sandboxes {
        private func status(_ pid: pid_t, _ key: String) -> String {
            let text = (try? ProcessTable.text("/proc/\(pid)/status")) ?? ""
            return text.split(separator: "\n").first { $0.hasPrefix(key + ":") }.map { String($0.dropFirst(key.count + 1).drop { $0 == "\t" }) } ?? ""
        }

        /// A client that has said hello to the sandboxed child of sshd, and goes on talking when it is told to.
        private static let client = #"""
            import os, socket, sys, time
            client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            client.recv(100)
            client.sendall(b"SSH-2.0-test\r\n")
            client.recv(20)
            open("ready", "w")
            while not os.path.exists("go"): time.sleep(0.02)
            client.sendall(b"\0\0\0\x0c\x0ajunkjunkjunk")
            count = 0
            while data := client.recv(4096): count += len(data)
            open("closed", "w").write(str(count))
            """#

        @Test(.enabled(if: access("/usr/sbin/sshd", X_OK) == 0 && Host.has("ssh-keygen") && Host.has("nft"), "wants openssh-server and nft"), arguments: Place.allCases)
        func childOfSSHServer(place: Place) throws {
            let scratch = try Scratch()
            try scratch.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", scratch.file("key")]).require()
            try scratch.write("client.py", Array(Self.client.utf8))
            try FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
            let port = place == .here ? 22_991 : 22_992
            let commands = """
                cd \(scratch.path)
                /usr/sbin/sshd -D -e -p \(port) -h \(scratch.file("key")) -o ListenAddress=127.0.0.1 -o PidFile=none -o LoginGraceTime=0 2> log &
                server=$!
                until grep -q listening log; do sleep 0.05; done
                /usr/bin/python3 client.py \(port)
                kill $server; wait
                """
            let child = try scratch.start(["bash", "-c", commands])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(child.errors) \(scratch.read("log"))")
            func confined(_ root: pid_t) -> Int { ProcessTable.tree(of: root).count { status($0.pid, "Seccomp") == "2" } }
            #expect(confined(child.pid) == 1)
            try scratch.checkpointAndKill(child.pid, of: child)
            let (running, root) = try scratch.restart(place)
            #expect(confined(root) == 1)
            try scratch.write("go")
            #expect(Clock.wait(seconds: 20) { !scratch.read("closed").isEmpty }, "\(scratch.read("log")) \(running.errors)")
            #expect(scratch.read("log").contains("[preauth]"), "\(scratch.read("log"))")
            _ = try running.wait(seconds: 20)
            #expect(scratch.becomesEmpty())
        }

        /// Starts bubblewrap with a filter: keyctl(2) fails with ENOTCONN, all else is allowed. The descriptor of the filter is that of a pipe.
        private static let bubblewrap = #"""
            import os, struct, sys
            steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 250), (0x06, 0, 0, 0x50000 | 107), (0x06, 0, 0, 0x7fff0000)]
            reader, writer = os.pipe()
            os.write(writer, b"".join(struct.pack("=HBBI", *step) for step in steps))
            os.close(writer)
            os.set_inheritable(reader, True)
            os.execvp("bwrap", ["bwrap", "--seccomp", str(reader), "--dev-bind", "/", "/", *sys.argv[1:]])
            """#
        /// What runs in it: says how keyctl(2) fails when it is told to.
        private static let confined = #"""
            import ctypes, os, sys, time
            os.chdir(sys.argv[1])
            open("ready", "w").close()
            while not os.path.exists("go"): time.sleep(0.02)
            libc = ctypes.CDLL(None, use_errno=True)
            libc.syscall(250, 0, 0)
            open("errno", "w").write(str(ctypes.get_errno()))
            """#

        /// As Flatpak starts programs: without privilege inside, by a parent that waits for it, or below an init of its own.
        @Test(.enabled(if: Host.has("bwrap"), "wants bubblewrap"), arguments: Place.allCases, [[], ["--unshare-pid"]])
        func bubblewrap(place: Place, options: [String]) throws {
            let scratch = try Scratch()
            let child = try scratch.start(
                ["/usr/bin/python3", "-c", Self.bubblewrap] + options + ["/usr/bin/python3", "-c", Self.confined, scratch.path])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") || child.poll() != nil } && child.poll() == nil, "\(child.errors)")
            func confined(_ root: pid_t) -> [String] {
                let keys = ["Seccomp", "Seccomp_filters", "NoNewPrivs", "CapPrm", "CapEff", "CapBnd"]
                return ProcessTable.tree(of: root).map { one in keys.map { status(one.pid, $0) }.joined(separator: " ") }
            }
            let before = confined(child.pid)
            #expect(before.last?.hasPrefix("2 1 1 0") == true, "\(before)")
            try scratch.checkpointAndKill(child.pid, of: child)
            let (running, root) = try scratch.restart(place)
            #expect(confined(root) == before)
            try scratch.write("go")
            #expect(try running.wait(seconds: 20) == .exited(0), "\(running.errors)")
            #expect(scratch.read("errno") == "\(ENOTCONN)")
            #expect(scratch.becomesEmpty())
        }

        /// As containers have it: root installs the filter, without no_new_privs, and the program has less privilege afterwards.
        @Test(arguments: Place.allCases) func filterFromSomebodyWithMorePrivilege(place: Place) throws {
            let scratch = try Scratch()
            // keyctl fails with EXFULL.
            let wrapper = [Host.path(of: "Workloads"), "confined", scratch.path, "250", "54"]
            let child = try scratch.start(
                wrapper + ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "sleep", "300"])
            #expect(Clock.wait(seconds: 20) { ProcessEntry(child.pid)?.command == "sleep" })
            let keys = ["Seccomp", "Seccomp_filters", "NoNewPrivs", "CapPrm", "CapEff", "CapBnd", "CapInh", "Uid", "Gid"]
            let before = keys.map { status(child.pid, $0) }
            #expect(before[0] == "2" && before[2] == "0")
            var (running, root) = (child, child.pid)
            for _ in 0..<2 {
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
                #expect(keys.map { status(root, $0) } == before)
            }
            scratch.killAll()
        }
    }
}
