import Foundation
import Testing

extension EndToEnd {
    /// Tasks are restarted in the control groups that they were in.
    @Suite struct Cgroups {
        static let hierarchies = ["freezer", "v2"]

        /// A process, a thread of it (where the hierarchy has cgroups for single threads), and another process. Both
        /// processes have become those of an ordinary user.
        private static func start(_ scratch: Scratch, _ group: TestCgroup) throws -> Child {
            for name in ["/one", "/one/inner", "/two"] where !group.make(name) { throw HarnessError("cannot make \(name)") }
            var arguments = ["p:\(group.directory)/one", "p:\(group.directory)/two"]
            if group.hierarchy != "v2" { arguments.insert("t:\(group.directory)/one/inner", at: 1) }
            return try scratch.startWorkload("cgroups", arguments)
        }

        @Test(arguments: Place.allCases, hierarchies)
        func tasksComeBack(place: Place, hierarchy: String) throws {
            guard let group = TestCgroup(hierarchy) else { try Test.cancel("no cgroup hierarchy \(hierarchy) here") }
            let scratch = try Scratch()
            let child = try Self.start(scratch, group)
            try scratch.checkpointAndKill(child.pid, of: child)
            let info = try scratch.run("crimage", ["info", scratch.file("image")]).require().output
            #expect(info.contains("\(hierarchy):\(group.path)/one (1 process)") || info.contains("\(hierarchy):\(group.path)/one "))
            let restarted = try scratch.restart(place)
            try scratch.finishWorkload("cgroups", restarted.command)
            #expect(scratch.read("before").contains(group.path + "/two"))
            #expect(scratch.read("before") == scratch.read("after"))
            scratch.killAll()
        }

        /// Threads of one process in the threaded cgroups of one domain.
        @Test func threadedCgroups() throws {
            guard let group = TestCgroup("v2") else { try Test.cancel("no cgroup v2 here") }
            let scratch = try Scratch()
            for name in ["/first", "/second"] {
                #expect(group.make(name))
                try group.write(name + "/cgroup.type", "threaded")
            }
            let child = try scratch.startWorkload(
                "cgroups",
                ["p:\(group.directory)", "t:\(group.directory)/first", "t:\(group.directory)/second", "p:\(group.directory)/first"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let restarted = try scratch.restart(.namespace)
            try scratch.finishWorkload("cgroups", restarted.command)
            #expect(scratch.read("before").contains("0::\(group.path)/second\n"))
            #expect(scratch.read("before") == scratch.read("after"))
            scratch.killAll()
        }

        @Test(arguments: hierarchies)
        func missingOnesAreFindings(hierarchy: String) throws {
            guard let group = TestCgroup(hierarchy) else { try Test.cancel("no cgroup hierarchy \(hierarchy) here") }
            let scratch = try Scratch()
            let child = try Self.start(scratch, group)
            try scratch.checkpointAndKill(child.pid, of: child)
            group.removeAll()
            let refused = try scratch.run("crrestart", ["--pidns", "--cgroup", "strict", scratch.file("image")]).expect(3)
            for name in ["/one", "/two"] {
                #expect(refused.errors.contains("cgroup \(hierarchy):\(group.path)\(name): does not exist here"))
            }
            #expect(refused.errors.contains("--cgroup ignore"))
            #expect(scratch.living().isEmpty)
            let restarted = try scratch.restart(.namespace, options: ["--cgroup", "ignore"])
            try scratch.finishWorkload("cgroups", restarted.command)
            #expect(!scratch.read("after").contains(group.path))
        }

        @Test(arguments: hierarchies)
        func anotherRoot(hierarchy: String) throws {
            guard let group = TestCgroup(hierarchy), let other = TestCgroup(hierarchy) else {
                try Test.cancel("no cgroup hierarchy \(hierarchy) here")
            }
            let scratch = try Scratch()
            // All of the tree is below the group: the workload's own process, too.
            for name in ["/one", "/two", "/self"] { #expect(group.make(name)) }
            let enter = "echo $$ > \(group.directory)/self/cgroup.procs; exec \"$@\""
            let child = try scratch.start(
                ["sh", "-c", enter, "sh", Host.path(of: "Workloads"), "cgroups", scratch.path]
                    + ["p:\(group.directory)/one", "p:\(group.directory)/two"])
            #expect(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(child.errors)")
            try scratch.checkpointAndKill(child.pid, of: child)
            let option = ["--cgroup-root", "\(hierarchy):\(other.path)"]
            let refused = try scratch.run("crrestart", ["--pidns"] + option + [scratch.file("image")]).expect(3)
            #expect(refused.errors.contains("\(other.path)/one: does not exist here"))
            for name in ["/one", "/two", "/self"] { #expect(other.make(name)) }
            let restarted = try scratch.restart(.namespace, options: option)
            try scratch.finishWorkload("cgroups", restarted.command)
            #expect(scratch.read("before").replacing(group.path, with: other.path) == scratch.read("after"))
            scratch.killAll()
        }

        /// A task in a frozen cgroup cannot run any step: neither one of a checkpoint nor one of a restart.
        @Test(arguments: hierarchies)
        func frozenOnesAreRefused(hierarchy: String) throws {
            guard let group = TestCgroup(hierarchy) else { try Test.cancel("no cgroup hierarchy \(hierarchy) here") }
            let scratch = try Scratch()
            let child = try Self.start(scratch, group)
            func set(frozen: Bool) throws {
                if hierarchy == "v2" {
                    try group.write("/cgroup.freeze", frozen ? "1" : "0")
                } else {
                    try group.write("/freezer.state", frozen ? "FROZEN" : "THAWED")
                }
            }
            try set(frozen: true)
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image")]
            for arguments in [arguments, arguments + ["--dry-run"]] {
                let refused = try scratch.run("crcheckpoint", arguments).expect(4)
                #expect(refused.errors.contains("is frozen by the cgroup freezer of \(group.path)"), "\(refused.errors)")
            }
            #expect(!scratch.exists("image"))
            try set(frozen: false)
            try scratch.checkpointAndKill(child.pid, of: child)
            try set(frozen: true)
            let refused = try scratch.run("crrestart", ["--pidns", scratch.file("image")]).expect(3)
            #expect(refused.errors.contains("cgroup \(hierarchy):\(group.path)/one: is frozen"))
            try set(frozen: false)
            let restarted = try scratch.restart(.here)
            try scratch.finishWorkload("cgroups", restarted.command)
            scratch.killAll()
        }
    }
}
