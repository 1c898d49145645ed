import Foundation
import Testing

extension EndToEnd {
    /// `cron` with a table of the test, in a mount namespace of its own: it runs nothing of the host's.
    @Suite(.enabled(if: Host.has("cron") && Host.has("nsenter"), "needs cron")) struct Cron {
        /// What stands in for its tables, and for `/run`, where it keeps its number and finds the log.
        private static let script = """
            mount --make-rprivate / && mount -t tmpfs none /run && mount --bind "$1/spool" /var/spool/cron/crontabs &&
            mount --bind "$1/more" /etc/cron.d && mount --bind "$1/table" /etc/crontab && touch "$1/mounted" && exec sleep infinity
            """

        /// A job runs once in each minute, over two checkpoints and restarts.
        @Test func onceInEachMinute() throws {
            let scratch = try Scratch()
            for folder in ["spool", "more"] { try FileManager.default.createDirectory(atPath: scratch.file(folder), withIntermediateDirectories: false) }
            try scratch.write("table")
            try scratch.write("spool/root", Array("SHELL=/bin/bash\n* * * * * echo $EPOCHSECONDS >> \(scratch.file("runs"))\n".utf8))
            chmod(scratch.file("spool/root"), 0o600)
            let holder = try scratch.start(["unshare", "--mount", "bash", "-c", Self.script, "-", scratch.path])
            try #require(Clock.wait(seconds: 20) { scratch.exists("mounted") }, "\(holder.errors)")
            let inside = ["nsenter", "--mount", "--target", "\(holder.pid)"]
            let before = Self.minute
            var daemon = try scratch.start(inside + ["cron", "-f"])
            var root = daemon.pid
            // It has read its table, and sleeps (clock_nanosleep) until the minute is over.
            let sleeps = Clock.wait(seconds: 20) {
                ProcessEntry(root)?.command == "cron" && (try? ProcessTable.text("/proc/\(root)/syscall"))?.hasPrefix("230 ") ?? false
            }
            try #require(sleeps, "\(daemon.errors)")
            for place in Place.allCases {
                try scratch.run(inside + [Host.path(of: "crcheckpoint"), "--tree", "\(root)", "-o", scratch.file("image"), "--kill", "--force"]).require()
                try daemon.wait(seconds: 20)
                try #require(Clock.wait(seconds: 10) { scratch.reapOrphans() == 0 && scratch.living().allSatisfy { $0.pid == holder.pid } })
                (daemon, root) = try scratch.restart(options: place.options, wrapper: inside)
            }
            let last = Self.minute + 1
            #expect(Clock.wait(seconds: 70) { Self.minutes(scratch).contains { $0 >= last } }, "\(scratch.read("runs"))")
            // It begins with the minute after its start.
            let ran = Self.minutes(scratch)
            let first = try #require(ran.first)
            #expect(first <= before + 2 && ran == Array(first..<first + ran.count), "\(before) to \(last): \(ran)")
            kill(root, SIGTERM)
            #expect(try daemon.wait(seconds: 20) == .signaled(SIGTERM), "\(daemon.errors)")
            holder.end()
        }

        private static var minute: Int { Int(Date().timeIntervalSince1970) / 60 }

        /// In which the job ran.
        private static func minutes(_ scratch: Scratch) -> [Int] { scratch.read("runs").split(separator: "\n").compactMap { Int($0).map { $0 / 60 } } }
    }
}
