import Foundation
import Testing

extension EndToEnd {
    /// What a checkpoint does to memory, and what it says about memory that it cannot save.
    @Suite struct Memory {
        /// What the processes of a tree take of the machine's memory, KiB: a page that several share counts once.
        static func share(of tree: [pid_t]) -> Int {
            tree.reduce(0) { sum, pid in
                let text = (try? ProcessTable.text("/proc/\(pid)/smaps_rollup")) ?? ""
                let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") }
                return sum + (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0)
            }
        }

        /// A server that has loaded 64 MiB and forked workers goes on with one copy of it.
        @Test func checkpointsPartNothing() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("prefork", ["64", "5"])
            let tree = ProcessTable.tree(of: child.pid).map(\.pid)
            #expect(tree.count == 6)
            let before = Self.share(of: tree)
            #expect(before > 64 << 10 && before < 80 << 10, "\(before) KiB")
            for _ in 0..<2 {
                try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"]).require()
            }
            // The pages that an injected program touches, one or the other by each process.
            let after = Self.share(of: tree)
            #expect(after < before + 2 << 10, "\(before) KiB before, \(after) KiB after")
            try scratch.finishWorkload("prefork", child)
        }

        /// Bytes in huge pages of one process.
        private static func hugeBytes(of pid: pid_t) -> Int {
            let text = (try? ProcessTable.text("/proc/\(pid)/smaps_rollup")) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix("AnonHugePages:") }
            return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
        }

        private static let hugePageModes = (try? ProcessTable.text("/sys/kernel/mm/transparent_hugepage/enabled")) ?? "[never]"

        /// Memory about which nothing is advised gets huge pages at the restart, where all of it was saved; without a trace in its
        /// flags. Memory that is advised against them gets none.
        @Test(
            .enabled(if: !hugePageModes.contains("[never]"), "this host gives no huge pages"),
            arguments: [["64", "plain"], ["64"]], [[], ["--compress", "lz4"]])
        func denseMemoryGetsHugePages(arguments: [String], options: [String]) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("anon", arguments)
            func flags(_ pid: pid_t) -> [Substring] {
                ((try? ProcessTable.text("/proc/\(pid)/smaps")) ?? "").split(separator: "\n").filter { $0.hasPrefix("VmFlags:") }
            }
            let before = flags(child.pid)
            try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--kill"] + options).require()
            _ = try child.wait(seconds: 30)
            let restarted = try scratch.restart(.here, options: ["--huge-pages", "always"])
            #expect(Clock.wait(seconds: 30) { !flags(restarted.root).isEmpty })
            let huge = Self.hugeBytes(of: restarted.root)
            // As many as the host had at that moment; one at least.
            #expect(arguments.contains("plain") ? huge >= 2 << 20 && huge <= 64 << 20 : huge == 0, "\(huge)")
            #expect(flags(restarted.root) == before)
            try scratch.finishWorkload("anon", restarted.command)
        }

        /// With `--lazy` they get them when all pages are there, and memory from which the program has dropped pages meanwhile does not grow.
        @Test(.enabled(if: !hugePageModes.contains("[never]"), "this host gives no huge pages"), arguments: [true, false])
        func pagesThatComeLaterGetHugePages(isLate: Bool) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(isLate ? "late" : "anon", isLate ? [] : ["64", "plain"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let restarted = try scratch.restart(.namespace, options: ["--lazy", "--huge-pages", "always"])
            if !isLate {
                #expect(Clock.wait(seconds: 60) { !Lazy.isServed(restarted.root) }, "pages are still missing")
                let huge = Self.hugeBytes(of: restarted.root)
                #expect(huge >= 2 << 20 && huge <= 64 << 20, "\(huge)")
            }
            try scratch.finishWorkload(isLate ? "late" : "anon", restarted.command)
            #expect(scratch.becomesEmpty())
        }

        /// Processes that shared memory since a fork share huge pages.
        @Test(.enabled(if: !hugePageModes.contains("[never]"), "this host gives no huge pages"), arguments: [[], ["--compress", "lz4"]])
        func sharedMemoryGetsHugePages(options: [String]) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("prefork", ["64", "5"])
            try scratch.checkpointAndKill(child.pid, of: child, options: options)
            let restarted = try scratch.restart(.namespace, options: ["--huge-pages", "always"])
            let tree = ProcessTable.tree(of: restarted.root).map(\.pid)
            #expect(tree.count == 6)
            let huge = tree.map(Self.hugeBytes)
            #expect(huge.allSatisfy { $0 >= 2 << 20 && $0 <= 64 << 20 }, "\(huge)")
            let share = Self.share(of: tree)
            #expect(share > 64 << 10 && share < 80 << 10, "\(share) KiB")
            try scratch.finishWorkload("prefork", restarted.command)
        }

        /// Some pages more in the pool of huge pages of 2 MiB, as long as this lives.
        private final class HugePool {
            private static let file = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
            private let before: Int

            init?(pages: Int) {
                guard let before = Self.number else { return nil }
                self.before = before
                guard Self.set(before + pages) else { return nil }
            }

            deinit { _ = Self.set(before) }

            static var number: Int? { (try? ProcessTable.text(file)).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) } }

            static func set(_ count: Int) -> Bool {
                guard (try? Data("\(count)".utf8).write(to: URL(fileURLWithPath: file))) != nil else { return false }
                return number == count
            }

            static let canBeFilled = HugePool(pages: 24) != nil
        }

        static let poolForms: [[String]] = [[], ["--compress", "zstd"], ["--live=always"]]

        /// Left running, ended and restarted, and that once more.
        @Test(.enabled(if: HugePool.canBeFilled, "this host has no pool of huge pages, or no free memory for it"), arguments: Place.allCases, poolForms)
        func memoryFromThePool(place: Place, form: [String]) throws {
            let pool = try #require(HugePool(pages: 24))
            defer { withExtendedLifetime(pool) {} }
            let scratch = try Scratch()
            var running = try scratch.startWorkload("pool")
            var root = running.pid
            for _ in 0..<2 {
                let alive = try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("alive"), "--force"] + form).require()
                #expect(form != ["--live=always"] || alive.errors.contains("private memory from the huge page pool"), "\(alive.errors)")
                try scratch.checkpointAndKill(root, of: running, options: form.filter { !$0.hasPrefix("--live") })
                (running, root) = try scratch.restart(place)
            }
            try scratch.finishWorkload("pool", running)
            #expect(scratch.becomesEmpty())
        }

        /// Found before anything is made: how many are missing, and of which size.
        @Test(.enabled(if: HugePool.canBeFilled && (HugePool.number ?? 0) < 10, "this host has no pool of huge pages, no free memory for it, or a full one"))
        func emptyPoolIsFoundBefore() throws {
            let scratch = try Scratch()
            var pool = HugePool(pages: 24)
            let child = try scratch.startWorkload("pool")
            try scratch.checkpointAndKill(child.pid, of: child)
            withExtendedLifetime(pool) {}
            pool = nil
            let refused = try scratch.run("crrestart", [scratch.file("image")]).expect(3)
            #expect(refused.errors.contains("huge pages of 2 MiB from the pool, which has \(HugePool.number ?? 0) to give"), "\(refused.errors)")
            #expect(refused.errors.contains("hugepages-2048kB/nr_hugepages by "), "\(refused.errors)")
        }

        @Test(arguments: [
            ("uring", "is a ring of io_uring"), ("secret", "is secret memory (memfd_secret)"),
            ("performance", "is the buffer of a performance counter"), ("packet", "is the ring of a packet or XDP socket"),
            ("asynchronous", "is the ring of asynchronous input and output (io_setup), with 1 requests under way"), ("userfault", "is served by userfaultfd"),
        ], [[], ["--dry-run"]])
        func kernelMemoryIsNamed(kind: (String, String), options: [String]) throws {
            let scratch = try Scratch()
            let child = try scratch.start([Host.path(of: "Workloads"), "kernelmemory", scratch.path, kind.0])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") || child.poll() != nil })
            // 77: this kernel, or this user, has none.
            if child.poll() == .exited(77) { return }
            let refused = try scratch.run(
                "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image")] + options
            ).expect(4)
            let lines = refused.errorLines.filter { $0.contains("\(child.pid) Workloads: mapping 0x") && $0.contains(kind.1) }
            #expect(lines.count == 1, "\(refused.errors)")
            #expect(!scratch.exists("image"))
            try scratch.finishWorkload("kernelmemory", child)
        }

        /// A question to the file system would never be answered: the tree that serves it stands still.
        @Test(arguments: ["open", "directory", "mapped"]) func ownFileSystemIsNamed(use: String) throws {
            let scratch = try Scratch()
            let child = try scratch.start([Host.path(of: "Workloads"), "served", scratch.path, use])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") || child.poll() != nil })
            // 77: this kernel, or this user, has none.
            if child.poll() == .exited(77) { return }
            let refused = try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--kill"]).expect(4)
            #expect(refused.errorLines.count { $0.contains(" Workloads: fd ") && $0.contains("/dev/fuse (10:229), the connection of a FUSE file system") } == 1, "\(refused.errors)")
            #expect(!scratch.exists("image"))
            try scratch.finishWorkload("served", child)
        }
    }
}
