import Foundation
import Testing

extension EndToEnd {
    /// What crrestart says of images that others can have written, and of limits that leave it no room.
    @Suite struct Trust {
        @Test func imagesThatOthersCanWrite() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("threads", ["3"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let image = scratch.file("image")
            func warnings() throws -> [String] {
                try scratch.run("crrestart", ["--dry-run", "--pidns", image]).require().errorLines
            }
            #expect(try warnings().isEmpty)
            chmod(image, 0o666)
            #expect(
                try warnings() == [
                    "warning: image \(image) can be written by every user (mode 666, owner 0), and root makes processes of what it says"
                ])
            chmod(image, 0o600)
            chown(image, 65534, 65534)
            let all = try warnings()
            #expect(all.count == 1 && all[0].contains("image \(image) belongs to user 65534, and root makes processes with capabilities"), "\(all)")
            let (command, _) = try scratch.restart(.namespace)
            try scratch.finishWorkload("threads", command)
            #expect(command.errors.contains("belongs to user 65534"))
        }

        /// A sentence, and not the death of Swift's runtime.
        @Test(arguments: [("data", "-d"), ("as", "-v")]) func limitsOfMemory(limit: String, option: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("threads", ["3"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let mebibytes = limit == "as" ? 50 : 8
            let command = [Host.path(of: "crrestart"), "--pidns", scratch.file("image")]
            let refused = try scratch.run(["prlimit", "--\(limit)=\(mebibytes << 20)"] + command).expect(3)
            #expect(
                refused.errorLines.count == 1 && refused.errors.hasPrefix("cannot start: ENOMEM (the limit of ")
                    && refused.errors.contains("ulimit \(option) unlimited"), "\(refused.errors)")
            // A soft limit is raised to the hard one.
            let (running, _) = try scratch.restart(options: ["--pidns"], wrapper: ["prlimit", "--\(limit)=\(80 << 20):unlimited"])
            try scratch.finishWorkload("threads", running)
        }
    }
}
