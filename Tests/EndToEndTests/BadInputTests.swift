import Foundation
import Testing

extension EndToEnd {
    /// Trees that do not exist or cannot be traced, files that are no images, hosts that lack something.
    @Suite struct BadInput {
        // MARK: Checkpoint

        @Test func pidThatDoesNotExist() throws {
            try expectOneSentence(about: "4194000", pid: 4_194_000)
        }

        @Test func kernelThread() throws {
            // Process 2 is kthreadd, unless this is a pid namespace.
            guard let entry = ProcessEntry(2), entry.command == "kthreadd" else { return }
            try expectOneSentence(about: "2 kthreadd", pid: 2)
        }

        @Test func processOne() throws {
            try expectOneSentence(about: "1 ", pid: 1)
            guard try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid") == "pid:[4026531836]" else { return }
            try expectOneSentence(about: "EINVAL (it is the init of this host", pid: 1)
        }

        @Test func checkpointerItself() throws {
            let scratch = try Scratch()
            let commands = "exec \(Host.path(of: "crcheckpoint")) --progress none --tree $$ -o \(scratch.file("image"))"
            let done = try scratch.run(["bash", "-c", commands]).expect(1)
            #expect(done.errorLines.count == 1, "\(done.errors)")
        }

        @Test func processOfSomebodyElse() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("threads", ["3"])
            // The commands can be in a directory that an ordinary user cannot read.
            try scratch.run(["cp", Host.path(of: "crcheckpoint"), scratch.file("crcheckpoint")]).require()
            let done = try scratch.run([
                "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
                scratch.file("crcheckpoint"), "--tree", "\(child.pid)", "-o", scratch.file("image"),
                "--progress", "none",
            ]).expect(1)
            #expect(done.errorLines.count == 1 && done.errors.contains("\(child.pid) Workloads"), "\(done.errors)")
            try scratch.finishWorkload("threads", child)
        }

        @Test func diskFull() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("anon", ["64"])
            try scratch.run(["mkdir", scratch.file("small")]).require()
            try scratch.run(["mount", "-t", "tmpfs", "-o", "size=8m", "small", scratch.file("small")]).require()
            defer { _ = try? scratch.run(["umount", scratch.file("small")]) }
            for options in [[], ["--kill"]] {
                let done = try scratch.run(
                    "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("small/image")] + options
                ).expect(1)
                #expect(done.errors.contains("ENOSPC"), "\(done.errors)")
                #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("small")).isEmpty)
                #expect(ProcessTable.runs(child.pid))
            }
            try scratch.finishWorkload("anon", child)
        }

        @Test func directoryOfTheImageIsMissing() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("threads", ["3"])
            try scratch.run(
                "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("no/image"), "--kill"]
            ).expect(1)
            try scratch.finishWorkload("threads", child)
        }

        // MARK: Restart

        @Test func notAnImage() throws {
            let scratch = try Scratch()
            try scratch.write("empty")
            try scratch.write("zeros", [UInt8](repeating: 0, count: 8192))
            for path in [scratch.file("empty"), scratch.file("zeros"), "/proc/self/maps", scratch.path, "/bin/sh"] {
                for tool in [["crrestart", "--no-pidns", "--pids"], ["crrestart", "--pidns"], ["crimage", "verify"]] {
                    try scratch.run(tool[0], Array(tool.dropFirst()) + [path]).expect(2)
                }
            }
            #expect(scratch.living().isEmpty)
        }

        @Test func truncatedImage() throws {
            let scratch = try Scratch()
            let image = try Self.makeImage(in: scratch)
            var lengths = Set((0..<40) + (1..<40).map { image.count - $0 })
            for _ in 0..<60 { lengths.insert(Int.random(in: 0..<image.count)) }
            for length in lengths.sorted() {
                try scratch.write("broken", Array(image.prefix(length)))
                try expectNothing(from: scratch, "cut at \(length) of \(image.count)")
            }
        }

        @Test func flippedImage() throws {
            let scratch = try Scratch()
            let image = try Self.makeImage(in: scratch)
            var places = Set((0..<64) + (1..<64).map { image.count - $0 })
            for _ in 0..<200 { places.insert(Int.random(in: 0..<image.count)) }
            for place in places.sorted() {
                var broken = image
                broken[place] ^= 1 << UInt8.random(in: 0..<8)
                try scratch.write("broken", broken)
                try expectNothing(from: scratch, "flipped at \(place) of \(image.count)")
            }
        }

        @Test func newerVersion() throws {
            let scratch = try Scratch()
            var image = try Self.makeImage(in: scratch)
            // The prelude: 8 bytes of magic, the version, and the checksum of both.
            image[8] = 200
            withUnsafeBytes(of: Self.crc32c(image[0..<12]).littleEndian) { image.replaceSubrange(12..<16, with: $0) }
            try scratch.write("broken", image)
            try expectNothing(from: scratch, "newer version")
            let done = try scratch.run("crimage", ["info", scratch.file("broken")]).expect(2)
            #expect(done.errors.contains("version 200"), "\(done.errors)")
        }

        @Test func truncatedPipe() throws {
            let scratch = try Scratch()
            let image = try Self.makeImage(in: scratch)
            for length in [0, 1, 23, 24, 100, image.count / 3, image.count / 2, image.count - 100, image.count - 1] {
                let commands =
                    "head -c \(length) \(scratch.file("image")) | \(Host.path(of: "crrestart")) --pidns --copy-status -"
                try scratch.run(["bash", "-c", commands]).expect(2)
                #expect(scratch.becomesEmpty(), "cut at \(length) of \(image.count)")
            }
            #expect(!scratch.exists("result"))
        }

        @Test func pidTaken() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["3"])
            let pids = ProcessTable.tree(of: child.pid).map(\.pid)
            try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image")]).require()
            let before = scratch.living().count
            let done = try scratch.run("crrestart", ["--no-pidns", "--pids", scratch.file("image")]).expect(3)
            for pid in pids { #expect(done.errors.contains("\(pid)"), "\(pid) is not in\n\(done.errors)") }
            #expect(scratch.living().count == before)
            try scratch.finishWorkload("processes", child)
        }

        @Test func mappedFileIsMissingOrChanged() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("memory")
            try scratch.checkpointAndKill(child.pid, of: child)
            try scratch.run(["mv", scratch.file("mapped-shared"), scratch.file("away")]).require()
            try scratch.run(["bash", "-c", "echo more >> \(scratch.file("mapped-private"))"]).require()
            for place in Place.allCases {
                let done = try scratch.run("crrestart", place.options + [scratch.file("image")]).expect(3)
                // Both findings at once.
                #expect(done.errors.contains("mapped-private") && done.errors.contains("mapped-shared"), "\(done.errors)")
                #expect(scratch.living().isEmpty)
            }
            try scratch.run(["mv", scratch.file("away"), scratch.file("mapped-shared")]).require()
            let done = try scratch.run("crrestart", ["--pidns", scratch.file("image")]).expect(3)
            #expect(!done.errors.contains("mapped-shared"), "\(done.errors)")
        }

        @Test func openFileIsMissing() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("files")
            try scratch.checkpointAndKill(child.pid, of: child)
            try scratch.run(["mv", scratch.file("log"), scratch.file("away")]).require()
            let done = try scratch.run("crrestart", ["--no-pidns", "--pids", scratch.file("image")]).expect(3)
            #expect(done.errors.contains(scratch.file("log")), "\(done.errors)")
            #expect(scratch.living().isEmpty)
        }

        // MARK: Helpers

        /// `crcheckpoint` refuses the pid with one line and exit status 1.
        private func expectOneSentence(
            about text: String, pid: pid_t, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let scratch = try Scratch()
            let done = try scratch.run("crcheckpoint", ["--tree", "\(pid)", "-o", scratch.file("image"), "--progress", "none"])
            done.expect(1, sourceLocation: sourceLocation)
            #expect(
                done.errorLines.count == 1 && done.errors.contains(text), "\(done.errors)",
                sourceLocation: sourceLocation)
            #expect(!scratch.exists("image"), sourceLocation: sourceLocation)
        }

        /// The bytes of a good image of a small tree, which stays in the file `image`.
        private static func makeImage(in scratch: Scratch) throws -> [UInt8] {
            let child = try scratch.startWorkload("processes", ["2"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let image = scratch.bytes("image")
            try #require(image.count > 4096)
            // The tree ends soon, so that a bad image which is restarted by mistake leaves a trace.
            try scratch.write("finish")
            return image
        }

        private static func crc32c(_ bytes: ArraySlice<UInt8>) -> UInt32 {
            ~bytes.reduce(~UInt32(0)) { crc, byte in
                (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 1 ? 0x82f6_3b78 : 0) }
            }
        }

        /// The file `broken` gives exit status 2 and nothing runs.
        private func expectNothing(
            from scratch: Scratch, _ what: String, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let arguments = ["--no-pidns", "--pids", "--copy-status", scratch.file("broken")]
            let done = try scratch.run("crrestart", arguments)
            #expect(done.status == .exited(2), "\(what): \(done.errors)", sourceLocation: sourceLocation)
            #expect(scratch.becomesEmpty(), "\(what)", sourceLocation: sourceLocation)
            #expect(!scratch.exists("result"), "\(what): it ran", sourceLocation: sourceLocation)
            scratch.remove("result")
        }
    }
}
