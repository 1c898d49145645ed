import Foundation
import Testing

extension EndToEnd {
    /// Containers: inits, nested pid namespaces, mount namespaces with a `/proc` of their own.
    @Suite struct Namespaces {
        private static let unshare = ["unshare", "--pid", "--fork", "--mount-proc"]

        /// All pids, groups and sessions of every process, in all pid namespaces from that of the root inwards.
        private static func numbers(of root: pid_t) -> [String] {
            func lists(_ pid: pid_t) -> [String: [Substring]] {
                let text = (try? ProcessTable.text("/proc/\(pid)/status")) ?? ""
                var found: [String: [Substring]] = [:]
                for line in text.split(separator: "\n") where line.hasPrefix("NS") {
                    let fields = line.split(whereSeparator: \.isWhitespace)
                    found[String(fields[0])] = Array(fields.dropFirst())
                }
                return found
            }
            let outer = (lists(root)["NSpid:"]?.count ?? 1) - 1
            // A group or session outside of the tree has another number after a restart.
            let outside = [lists(root)["NSpgid:"]?.first, lists(root)["NSsid:"]?.first]
            return ProcessTable.tree(of: root).map { entry in
                let all = lists(entry.pid)
                let names = ["NSpid:", "NSpgid:", "NSsid:"].map { name in
                    var list = all[name] ?? []
                    if name != "NSpid:", outside.contains(list.first), lists(root)["NSpid:"]?.first != list.first {
                        list = list.map { _ in "outside" }
                    }
                    return list.dropFirst(outer).joined(separator: "/")
                }
                return "\(entry.command) \(entry.state == "Z" ? "Z" : "") \(names.joined(separator: " "))"
            }.sorted()
        }

        private static func requireInit(_ path: String) throws {
            if access(path, X_OK) != 0 { try Test.cancel("\(path) is missing: scripts/setup --tests installs it") }
        }

        /// Several nested levels, with processes created in them from outside, and a process whose next child begins a
        /// namespace.
        @Test(arguments: Place.allCases, [1, 4])
        func levels(place: Place, depth: Int) throws {
            let scratch = try Scratch()
            var running = try scratch.startWorkload("levels", ["\(depth)"])
            var root = running.pid
            let before = Self.numbers(of: root)
            #expect(before.count == 5 * depth + 2, "\(before)")
            for _ in 0..<place.rounds {
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
                #expect(Self.numbers(of: root) == before)
            }
            try scratch.finishWorkload("levels", running)
            #expect(scratch.becomesEmpty())
        }

        /// The init that a test started, as seen from here.
        private func firstChild(of child: Child, _ scratch: Scratch) throws -> pid_t {
            try #require(
                Clock.wait(seconds: 30) { scratch.exists("ready") || child.poll() != nil }, "\(child.errors)")
            try #require(child.poll() == nil, "\(child.output)\(child.errors)")
            return try #require(ProcessTable.children(of: child.pid).first)
        }

        /// The root is the command `unshare`, whose children are born in a new pid namespace with its own `/proc`.
        @Test(arguments: Place.allCases)
        func unshareAndWhatItStarted(place: Place) throws {
            let scratch = try Scratch()
            var running = try scratch.start(Self.unshare + ["bash", Host.programs + "/container.sh", scratch.path])
            _ = try firstChild(of: running, scratch)
            var root = running.pid
            let before = Self.numbers(of: root)
            #expect(before.count == 9, "\(before)")
            for _ in 0..<place.rounds {
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
                #expect(Self.numbers(of: root) == before)
            }
            try finish(running, scratch)
        }

        /// Job control in a nested namespace, whose small numbers belong to other processes outside of it.
        @Test(arguments: Place.allCases)
        func stopsInside(place: Place) throws {
            let scratch = try Scratch()
            var running = try scratch.start(Self.unshare + [Host.path(of: "Workloads"), "stops", scratch.path])
            _ = try firstChild(of: running, scratch)
            var root = running.pid
            for _ in 0..<place.rounds {
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
            }
            try scratch.finishWorkload("stops", running)
            #expect(scratch.becomesEmpty())
        }

        /// An init cannot stop itself.
        @Test func stoppedInit() throws {
            let scratch = try Scratch()
            let child = try scratch.start(Self.unshare + ["sleep", "1000"])
            try #require(Clock.wait(seconds: 30) { ProcessTable.tree(of: child.pid).contains { $0.command.contains("sleep") } })
            let first = try #require(ProcessTable.children(of: child.pid).first)
            kill(first, SIGSTOP)
            let refused = try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image")]).expect(4)
            #expect(refused.errors.contains("is the init of a pid namespace and was stopped"))
            kill(first, SIGKILL)
            try child.wait(seconds: 30)
        }

        private func finish(_ running: Child, _ scratch: Scratch) throws {
            try scratch.write("finish")
            #expect(try running.wait(seconds: 30) == .exited(0), "\(running.errors)")
            #expect(scratch.read("result") == "OK\n", "\(scratch.read("difference"))\(running.errors)")
            #expect(scratch.becomesEmpty())
        }

        /// A root that is an init is one after the restart, too: a shell, and a program made as an init.
        @Test(arguments: [[], ["/usr/bin/tini", "-s", "--"], ["/usr/bin/dumb-init"], ["/usr/bin/dumb-init", "-c"]])
        func initAsRoot(_ initProgram: [String]) throws {
            if let program = initProgram.first { try Self.requireInit(program) }
            let scratch = try Scratch()
            let starter = try scratch.start(
                Self.unshare + initProgram + ["bash", Host.programs + "/container.sh", scratch.path])
            var root = try firstChild(of: starter, scratch)
            var running = starter
            let image = scratch.file("image")
            let before = Self.numbers(of: root)
            for round in 0..<3 {
                try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", image, "--kill", "--force"]).require()
                try running.wait(seconds: 20)
                #expect(scratch.becomesEmpty())
                if round == 0 {
                    let refused = try scratch.run("crrestart", ["--no-pidns", image]).expect(3)
                    #expect(refused.errors.contains("init of a pid namespace"), "\(refused.errors)")
                    let tree = try scratch.run("crimage", ["tree", image]).require().output
                    #expect(tree.hasPrefix("1 "), "\(tree)")
                }
                (running, root) = try restartInit(scratch)
                #expect(Self.numbers(of: root) == before)
            }
            // The end of the init ends all processes of its namespace, and crrestart reports its status.
            kill(root, SIGKILL)
            #expect(try running.wait(seconds: 20) == .signaled(SIGKILL))
            #expect(scratch.becomesEmpty())
            (running, root) = try restartInit(scratch)
            try finish(running, scratch)
        }

        private func restartInit(_ scratch: Scratch) throws -> (command: Child, root: pid_t) {
            scratch.remove("root.pid")
            let child = try scratch.start(
                "crrestart", ["--copy-status", "--pid-file", scratch.file("root.pid"), scratch.file("image")])
            let known = Clock.wait(seconds: 30) { scratch.hasLine("root.pid") || child.poll() != nil }
            let root = known ? pid_t(scratch.read("root.pid").dropLast()) : nil
            return (child, try #require(root, "\(child.errors)"))
        }

        /// Three nested containers, each with a `/proc` of its own.
        @Test(arguments: Place.allCases)
        func containersInContainers(place: Place) throws {
            let scratch = try Scratch()
            var running = try scratch.start(
                Self.unshare + Self.unshare + Self.unshare + ["bash", Host.programs + "/container.sh", scratch.path])
            _ = try firstChild(of: running, scratch)
            var root = running.pid
            let before = Self.numbers(of: root)
            for _ in 0..<2 {
                try scratch.checkpointAndKill(root, of: running)
                let tree = try scratch.run("crimage", ["tree", scratch.file("image")]).require().output
                #expect(tree.contains("pid inside "), "\(tree)")
                (running, root) = try scratch.restart(place)
                #expect(Self.numbers(of: root) == before)
            }
            try finish(running, scratch)
        }

        /// Both commands run inside of a container.
        @Test func commandsInsideOfContainers() throws {
            let scratch = try Scratch()
            let script = """
                '\(Host.path(of: "Workloads"))' tree \(scratch.path) < /dev/null > /dev/null 2>&1 & root=$!
                until [ -e \(scratch.path)/ready ]; do sleep 0.05; done
                '\(Host.path(of: "crcheckpoint"))' --tree $root -o \(scratch.path)/image --kill || exit 10
                wait $root
                '\(Host.path(of: "crrestart"))' $1 --copy-status \(scratch.path)/image & restart=$!
                sleep 0.5; touch \(scratch.path)/finish
                wait $restart
                """
            for option in ["--no-pidns", "--pidns"] {
                let done = try scratch.run(Self.unshare + ["bash", "-c", script, "bash", option])
                #expect(done.status == .exited(0) && scratch.read("result") == "OK tree\n", "\(option): \(done.output)\(done.errors)\(scratch.read("failures"))")
                for name in ["ready", "finish", "result", "image"] { scratch.remove(name) }
            }
            #expect(scratch.becomesEmpty())
        }

        /// Trees that cannot be saved or restarted: each reason is named, and the tree runs on.
        @Test func refusals() throws {
            let scratch = try Scratch()
            let child = try scratch.start(Self.unshare + ["bash", Host.programs + "/container.sh", scratch.path])
            let first = try firstChild(of: child, scratch)
            // A process inside of the namespace can neither kill nor stop its init.
            let inside = try scratch.run(
                ["nsenter", "-t", "\(first)", "-p", "-m", Host.path(of: "crcheckpoint"), "--tree", "1", "-o", scratch.file("image"), "--kill"])
            inside.expect(1)
            #expect(inside.errors.contains("start crcheckpoint outside"), "\(inside.errors)")
            // It can be saved, though.
            try scratch.run(
                ["nsenter", "-t", "\(first)", "-p", "-m", Host.path(of: "crcheckpoint"), "--tree", "1", "-o", scratch.file("image")]
            ).require()
            // A mount of its own is named.
            let mounted = try scratch.start(
                ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /mnt && touch \(scratch.path)/mounted; exec sleep 1000"])
            #expect(Clock.wait(seconds: 20) { scratch.exists("mounted") })
            let refused = try scratch.run("crcheckpoint", ["--tree", "\(mounted.pid)", "-o", scratch.file("other")]).expect(4)
            #expect(refused.errors.contains("/mnt"), "\(refused.errors)")
            mounted.end()
            try finish(child, scratch)
        }

        /// A command that is killed at any moment leaves the whole container or no process of it.
        /// What is mounted later where the mounts are shared is mounted in the restarted tree as well, which can be saved again.
        @Test func mountsOfTheHostAppear() throws {
            let scratch = try Scratch()
            let commands = """
                cd \(scratch.path) && sleep 1000 & root=$!
                \(Host.path(of: "crcheckpoint")) --tree $root -o image --kill || exit 3
                wait $root
                \(Host.path(of: "crrestart")) --pidns --detach --pid-file root.pid image || exit 4
                root=$(cat root.pid)
                mount -t tmpfs treerestore /mnt && grep -q ' /mnt .* treerestore ' /proc/$root/mountinfo || exit 5
                \(Host.path(of: "crcheckpoint")) --tree $root -o image --force --kill || exit 6
                umount /mnt
                """
            try scratch.run(["unshare", "--mount", "--propagation", "shared", "bash", "-c", "cd \(scratch.path); " + commands]).require()
            #expect(scratch.becomesEmpty())
        }

        @Test func restarterOfAnInitDies() throws {
            let scratch = try Scratch()
            let starter = try scratch.start(Self.unshare + ["bash", Host.programs + "/container.sh", scratch.path])
            let first = try firstChild(of: starter, scratch)
            let count = ProcessTable.tree(of: first).count
            try scratch.run("crcheckpoint", ["--tree", "\(first)", "-o", scratch.file("image"), "--kill"]).require()
            try starter.wait(seconds: 20)
            #expect(scratch.becomesEmpty())
            let duration = try Clock.seconds {
                try scratch.run("crrestart", ["--detach", scratch.file("image")]).require()
            }
            scratch.killAll()
            var none = 0
            var whole = 0
            let attempts = max(10, Host.kills / 6)
            var attempt = 0
            // Longer and longer, if the machine is slower now than when the duration was measured.
            while attempt < attempts || attempt < attempts * 8 && (none == 0 || whole == 0) {
                let command = try scratch.start("crrestart", [scratch.file("image")])
                Clock.sleep(Double.random(in: 0...duration * 1.5 * Double(1 + attempt / attempts)))
                command.end()
                var seen = -1
                let settled = Clock.wait(seconds: 20) {
                    let before = seen
                    let living = scratch.living().filter { $0.command != "crrestart-init" }
                    let orphans = scratch.reapOrphans()
                    seen = living.isEmpty && orphans == 0 ? 0 : living.count
                    Clock.sleep(0.1)
                    // The zombie is not counted.
                    return seen == before && (seen == 0 || seen == count - 1)
                }
                try #require(settled, "after kill \(attempt): \(seen) of \(count): \(scratch.living().map(\.command))")
                if seen == 0 { none += 1 } else { whole += 1 }
                attempt += 1
                scratch.killAll()
            }
            print("crrestart of an init killed \(none + whole) times: \(none) nothing, \(whole) whole")
            #expect(none > 0 && whole > 0)
        }
    }
}
