import Foundation
import Testing

/// A workload with its arguments.
struct Workload: CustomTestStringConvertible {
    let name: String
    var arguments: [String] = []
    var testDescription: String { ([name] + arguments).joined(separator: " ") }

    static let all = [
        Workload(name: "registers"), Workload(name: "vectors"), Workload(name: "sleepers"), Workload(name: "waits"),
        Workload(name: "memory"), Workload(name: "files"), Workload(name: "nameless"),
        Workload(name: "removed"), Workload(name: "links"), Workload(name: "program", arguments: ["removed"]),
        Workload(name: "program", arguments: ["plain"]), Workload(name: "pipes"), Workload(name: "ptys"), Workload(name: "ptyfloods"), Workload(name: "fifos"), Workload(name: "locks"),
        Workload(name: "signals"),
        Workload(name: "credentials"), Workload(name: "processes", arguments: ["60"]),
        Workload(name: "threads", arguments: ["100"]), Workload(name: "anon", arguments: ["128"]),
        Workload(name: "tree"), Workload(name: "orphans"), Workload(name: "stops"), Workload(name: "headless"), Workload(name: "breakpoints"),
        Workload(name: "rseq", arguments: ["256"]),
        Workload(name: "events"), Workload(name: "socketpairs"), Workload(name: "sockets"), Workload(name: "connections"), Workload(name: "timerfiles"), Workload(name: "epolls"),
        Workload(name: "portgroups"), Workload(name: "unaccepted"), Workload(name: "udp"), Workload(name: "multicast"), Workload(name: "rawsockets"), Workload(name: "packetsockets"), Workload(name: "netlink"),
        Workload(name: "watchers"), Workload(name: "unreadevents"), Workload(name: "pidfiles"), Workload(name: "segments"), Workload(name: "rings"), Workload(name: "unixqueue"), Workload(name: "senders"), Workload(name: "queuefiles"), Workload(name: "queuenotices"),
        Workload(name: "procfiles"), Workload(name: "owners"), Workload(name: "kernelmessages"), Workload(name: "census"),
        Workload(name: "posixtimers"), Workload(name: "semaphores"), Workload(name: "undone"), Workload(name: "moments"),
        Workload(name: "sharing"), Workload(name: "wanderers"), Workload(name: "tables"),
        Workload(name: "crowd", arguments: ["120"]), Workload(name: "bare"),
        Workload(name: "attributes"), Workload(name: "extremes"), Workload(name: "messages"),
        Workload(name: "advice"), Workload(name: "memfds"), Workload(name: "temporary"), Workload(name: "mutexes"), Workload(name: "prefork", arguments: ["8", "3"]),
        Workload(name: "sandboxes", arguments: ["filters"]), Workload(name: "sandboxes", arguments: ["narrow"]),
        Workload(name: "sandboxes", arguments: ["strict"]), Workload(name: "sandboxes", arguments: ["sleeping"]),
        Workload(name: "sandboxes", arguments: ["dispatched"]),
        Workload(name: "family", arguments: ["1"]), Workload(name: "family", arguments: ["2"]), Workload(name: "family", arguments: ["3"]),
    ]
}

extension EndToEnd {
    /// The self-checking programs of `Tests/Workloads`.
    @Suite struct Workloads {
        @Test(arguments: Workload.all)
        func notDisturbedByCheckpoints(workload: Workload) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(workload.name, workload.arguments)
            let image = scratch.file("image")
            for _ in 0..<5 {
                Clock.sleep(Double.random(in: 0...0.15))
                try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", image, "--force"]).require()
            }
            try scratch.run("crimage", ["verify", image]).expect(0)
            try scratch.finishWorkload(workload.name, child)
        }

        @Test(arguments: Workload.all, Place.allCases)
        func restarted(workload: Workload, place: Place) throws {
            let scratch = try Scratch()
            var running = try scratch.startWorkload(workload.name, workload.arguments)
            var root = running.pid
            for _ in 0..<place.rounds {
                Clock.sleep(Double.random(in: 0...0.3))
                let before = ProcessTable.tree(of: root)
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
                let after = ProcessTable.tree(of: root)
                #expect(after.map(\.command).sorted() == before.map(\.command).sorted())
                if place == .here { expectSameRelatives(before, after) }
            }
            Clock.sleep(0.2)
            try scratch.finishWorkload(workload.name, running)
            #expect(scratch.becomesEmpty())
        }

        /// Every class of registers that this processor has, in threads that do nothing but hold and compare them.
        @Test func fiftyRestartsLoseNoRegister() throws {
            let scratch = try Scratch()
            var running = try scratch.startWorkload("vectors")
            var root = running.pid
            for round in 0..<50 {
                Clock.sleep(Double.random(in: 0...0.05))
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(Place.allCases[round % 2])
            }
            try scratch.finishWorkload("vectors", running)
        }

        /// The kernel's pids begin again from the lowest while the threads of a namespace are created, so that their tids
        /// outside have another order than those inside.
        @Test func numbersThatBeginAnew() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("vectors")
            try scratch.checkpointAndKill(child.pid, of: child)
            let highest = try ProcessTable.text("/proc/sys/kernel/pid_max")
            let last = try #require(Int(highest.trimmingCharacters(in: .whitespacesAndNewlines))) - 8
            try scratch.run(["bash", "-c", "echo \(last) > /proc/sys/kernel/ns_last_pid"]).require()
            let (running, root) = try scratch.restart(.namespace)
            try scratch.checkpointAndKill(root, of: running)
            let (again, _) = try scratch.restart(.namespace)
            try scratch.finishWorkload("vectors", again)
        }

        /// As on a kernel with another vdso: the old one is kept, and its functions call those of this kernel's.
        @Test(arguments: ["clocks", "vectors", "moments", "tree"], Place.allCases)
        func withTheirOldVdso(name: String, place: Place) throws {
            let scratch = try Scratch()
            let arguments = name == "clocks" ? ["relative", "1500"] : []
            var running = try scratch.startWorkload(name, arguments)
            var root = running.pid
            for _ in 0..<3 {
                let places = vdsoPlaces(of: root)
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place, options: ["--keep-vdso"])
                let now = vdsoPlaces(of: root)
                #expect(places.count == 1 && now.count == 1 && now != places, "\(places) \(now)")
            }
            Clock.sleep(0.2)
            try scratch.finishWorkload(name, running)
        }

        /// Threads that are nearly always inside the vdso are stopped outside of it.
        @Test func nobodyIsLeftInsideTheVdso() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("moments")
            for _ in 0..<10 {
                let done = try scratch.run(
                    "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"]
                ).require()
                #expect(!done.errors.contains("the vdso: this image"), "\(done.errors)")
            }
            try scratch.finishWorkload("moments", child)
        }

        private func vdsoPlaces(of pid: pid_t) -> [String] {
            ProcessTable.mappings(of: pid).filter { $0.hasSuffix("[vdso]") }.map { String($0.prefix { $0 != " " }) }
        }

        /// Same pids, parents (but the root's), groups and sessions.
        private func expectSameRelatives(_ before: [ProcessEntry], _ after: [ProcessEntry]) {
            func rows(_ entries: [ProcessEntry]) -> [[pid_t]] {
                entries.sorted { $0.pid < $1.pid }.map { entry in
                    let parent = entry.pid == entries.first?.pid ? 0 : entry.parent
                    return [entry.pid, parent, entry.group, entry.session]
                }
            }
            #expect(rows(after) == rows(before))
        }
    }
}
