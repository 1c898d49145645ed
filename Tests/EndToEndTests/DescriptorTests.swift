import Foundation
import Testing

extension EndToEnd {
    /// Descriptors of crrestart and of the tree never meet, whatever their numbers and however many there are.
    @Suite struct Descriptors {
        /// Runs a command with descriptors 3 to N + 2 open on a file.
        private func inheriting(_ count: Int, _ scratch: Scratch) throws -> [String] {
            try scratch.write("inherited")
            let script = """
                import os, sys
                file = os.open(sys.argv[1], os.O_RDWR)
                for number in range(3, 3 + int(sys.argv[2])): os.dup2(file, number)
                if file >= 3 + int(sys.argv[2]): os.close(file)
                os.execv(sys.argv[3], sys.argv[3:])
                """
            return ["python3", "-c", script, scratch.file("inherited"), "\(count)"]
        }

        private func leaked(_ root: pid_t, _ scratch: Scratch) -> [String] {
            let tree = ProcessTable.tree(of: root).map(\.pid)
            // The inner half of crrestart, too: it may outlive the command.
            return (tree + [ProcessEntry(root)?.parent ?? 0]).flatMap { pid in
                let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")) ?? []
                return numbers.filter {
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\($0)")) == scratch.file("inherited")
                }.map { "\(pid): \($0)" }
            }
        }

        @Test(arguments: [(0, 0), (0, 200), (1, 61), (62, 0), (80, 3), (200, 200)], Place.allCases)
        func manyObjectsAndManyInherited(_ counts: (objects: Int, inherited: Int), place: Place) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("crowd", ["\(counts.objects)"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let (command, root) = try scratch.restart(
                options: place.options, wrapper: inheriting(counts.inherited, scratch))
            #expect(leaked(root, scratch).isEmpty)
            try scratch.finishWorkload("crowd", command)
        }

        /// The program has the highest number that its limit allows, and crrestart has the same limit.
        @Test(arguments: Place.allCases) func upToTheHardLimit(place: Place) throws {
            let scratch = try Scratch()
            let limited = ["prlimit", "--nofile=512:512"]
            let child = try scratch.start(limited + [Host.path(of: "Workloads"), "crowd", scratch.path, "60", "511"])
            try #require(Clock.wait(seconds: 30) { scratch.exists("ready") || child.poll() != nil })
            try scratch.checkpointAndKill(child.pid, of: child)
            var (command, root) = try scratch.restart(options: place.options, wrapper: limited)
            try scratch.checkpointAndKill(root, of: command)
            (command, root) = try scratch.restart(options: place.options, wrapper: limited)
            try scratch.finishWorkload("crowd", command)
            // Where so many numbers are not to be had, that is found before anything is created.
            let refused = try scratch.run(
                ["prlimit", "--nofile=120:120", Host.path(of: "crrestart"), "--dry-run"] + place.options + [scratch.file("image")])
            if getuid() == 0, Capability.mayRaiseLimits { return }
            #expect(refused.status == .exited(3) && refused.errors.contains("descriptors: "), "\(refused.errors)")
        }

        /// A lock that the caller holds lasts as long as the tree.
        @Test func theRootInheritsWhatIsNamed() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("crowd", ["3"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let (command, root) = try scratch.restart(options: ["--pidns", "--fd", "9"], wrapper: inheriting(20, scratch))
            #expect(leaked(root, scratch) == ["\(root): 9"])
            try scratch.finishWorkload("crowd", command)
            let closed = try scratch.run("crrestart", ["--fd", "9", scratch.file("image")]).expect(64)
            #expect(closed.errors.contains("--fd 9: this descriptor is not open."), "\(closed.errors)")
        }

        /// No file of the restart gets the number of a standard stream that is closed.
        @Test(arguments: ["<&-", "2>&-", "<&- >&- 2>&-"]) func closedStandardStreams(how: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("crowd", ["70"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let options = "--pidns --copy-status --progress lines"
            let command = try scratch.start(["bash", "-c", "exec \(Host.path(of: "crrestart")) \(options) \(scratch.file("image")) \(how)"])
            #expect(Clock.wait(seconds: 20) { scratch.living().contains { $0.command == "Workloads" } || command.poll() != nil })
            try scratch.finishWorkload("crowd", command)
        }

        /// A shell names a pipe like that.
        @Test func anImageFromAnInheritedDescriptor() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("crowd", ["70"])
            try scratch.checkpointAndKill(child.pid, of: child)
            try scratch.run(["bash", "-c", "\(Host.path(of: "crrestart")) --dry-run <(cat \(scratch.file("image")))"]).require()
            try scratch.write("finish")
            try scratch.run(["bash", "-c", "\(Host.path(of: "crrestart")) --copy-status <(cat \(scratch.file("image")))"]).expect(0)
            #expect(scratch.read("result") == "OK crowd\n", "\(scratch.read("failures"))")
        }
    }
}

/// Capabilities of the tests themselves.
enum Capability {
    /// CAP_SYS_RESOURCE.
    static let mayRaiseLimits: Bool = {
        let status = (try? ProcessTable.text("/proc/self/status")) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") } ?? ""
        return (UInt64(line.split(separator: "\t").last ?? "", radix: 16) ?? 0) >> 24 & 1 != 0
    }()
}
