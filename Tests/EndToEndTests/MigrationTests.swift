import Foundation
import Testing

extension EndToEnd {
    /// Trees that move between two hosts: namespaces of network, mounts and host name, each with an sshd of its own.
    @Suite struct Migrations {
        /// The protocol of `--hold`, docs/protocol.md.
        @Test func hold() throws { try run("hold") }

        @Test func whenRoundsEnd() throws { try run("rules") }

        @Test(
            .enabled(if: Host.has("sshd") && Host.has("rsync") && Host.has("redis-server"), "needs openssh-server, rsync and redis"),
            arguments: ["back_and_forth", "refused", "cut", "killed", "address", "rounds", "rounds_cut", "user", "late", "late_cut"])
        func betweenHosts(scenario: String) throws { try run(scenario) }

        private func run(_ scenario: String) throws {
            let scratch = try Scratch()
            let binaries = URL(fileURLWithPath: Host.path(of: "crrestart")).deletingLastPathComponent().path
            try scratch.run(["/usr/bin/python3", Host.programs + "/migrations.py", binaries, scratch.path, scenario], seconds: 240).require()
            #expect(scratch.becomesEmpty())
        }
    }
}

extension EndToEnd {
    /// Jobs under scripts/crjob that are preempted twice and whose node dies once.
    @Suite struct CheckpointedJobs {
        @Test(arguments: [[], ["54322"]]) func preemptedTwiceAndCrashed(user: [String]) throws {
            let scratch = try Scratch()
            let binaries = URL(fileURLWithPath: Host.path(of: "crrestart")).deletingLastPathComponent().path
            // An ordinary user has to reach it.
            try scratch.run(["chmod", "755", scratch.path]).require()
            try scratch.run(["/usr/bin/python3", Host.programs + "/checkpointedjobs.py", binaries, scratch.path] + user, seconds: 200).require()
            #expect(scratch.becomesEmpty())
        }

        /// scripts/slurm/batch, as an ordinary user that Debian has: two preemptions, and the death of a node.
        @Test(.enabled(if: Host.has("slurmctld") && Host.has("slurmd") && Host.has("sbatch"), "needs slurmctld, slurmd and slurm-client"))
        func slurm() throws {
            let scratch = try Scratch()
            let binaries = URL(fileURLWithPath: Host.path(of: "crrestart")).deletingLastPathComponent().path
            try scratch.run(["chmod", "755", scratch.path]).require()
            try scratch.run(["/usr/bin/python3", Host.programs + "/slurm.py", binaries, scratch.path, "games"], seconds: 240).require()
        }
    }
}
