import Foundation
import Testing

extension EndToEnd {
    /// Images whose pages are compressed, or partly in the image of an earlier checkpoint.
    @Suite struct Packed {
        /// Those with known contents in memory of every kind.
        static let workloads = [
            Workload(name: "memory"), Workload(name: "memfds"), Workload(name: "segments"), Workload(name: "removed"),
            Workload(name: "anon", arguments: ["64"]), Workload(name: "prefork", arguments: ["8", "3"]), Workload(name: "family", arguments: ["2"]),
        ]

        @Test(arguments: workloads, ["zstd", "lz4"]) func compressed(workload: Workload, form: String) throws {
            let scratch = try Scratch()
            var running = try scratch.startWorkload(workload.name, workload.arguments)
            var root = running.pid
            for place in Place.allCases {
                try scratch.checkpointAndKill(root, of: running, options: ["--compress", form])
                try scratch.run("crimage", ["verify", scratch.file("image")]).expect(0)
                (running, root) = try scratch.restart(place)
                // The same from a pipe.
                try scratch.checkpointAndKill(root, of: running, options: ["--compress", form])
                (running, root) = try restartFromPipe(scratch, place)
            }
            try scratch.finishWorkload(workload.name, running)
            #expect(scratch.becomesEmpty())
        }

        /// The image goes through a pipe on its way out, too.
        @Test(arguments: ["zstd:3", "lz4"]) func handedOver(form: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("memory")
            let commands = """
                set -o pipefail
                mkfifo \(scratch.file("ack"))
                \(Host.path(of: "crcheckpoint")) --tree \(child.pid) -o - --compress \(form) --kill --ack 3 3< \(scratch.file("ack")) |
                \(Host.path(of: "crrestart")) --pidns --copy-status --ack 4 - 4> \(scratch.file("ack"))
                """
            let both = try scratch.start(["bash", "-c", commands])
            try child.wait(seconds: 60)
            try scratch.finishWorkload("memory", both)
            #expect(scratch.becomesEmpty())
        }

        /// Five checkpoints of a tree that goes on changing its memory, each against the one before.
        @Test(arguments: workloads, Place.allCases) func chainOfFive(workload: Workload, place: Place) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(workload.name, workload.arguments)
            for number in 0..<5 {
                Clock.sleep(Double.random(in: 0...0.1))
                try checkpoint(scratch, child, number, ends: number == 4)
            }
            try scratch.run("crimage", ["verify", scratch.file("image4")]).expect(0)
            let (running, _) = number(of: workload) % 2 == 0
                ? try scratch.restart(place, image: "image4") : try restartFromPipe(scratch, place, image: "image4")
            try scratch.finishWorkload(workload.name, running)
            #expect(scratch.becomesEmpty())
        }

        private func number(of workload: Workload) -> Int { Self.workloads.firstIndex { $0.name == workload.name } ?? 0 }

        private func checkpoint(_ scratch: Scratch, _ child: Child, _ number: Int, ends: Bool) throws {
            let form = [["--compress", "zstd"], [], ["--compress", "lz4"]][number % 3]
            let options = form + (number == 0 ? [] : ["--parent", scratch.file("image\(number - 1)")])
            if ends {
                try scratch.checkpointAndKill(child.pid, of: child, image: "image\(number)", options: options)
            } else {
                try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image\(number)")] + options).require()
            }
        }

        private func restartFromPipe(_ scratch: Scratch, _ place: Place, image: String = "image") throws -> (command: Child, root: pid_t) {
            scratch.remove("pipe")
            try scratch.run(["mkfifo", scratch.file("pipe")]).require()
            let writer = try scratch.start(["bash", "-c", "exec cat \(scratch.file(image)) > \(scratch.file("pipe"))"])
            let restarted = try scratch.restart(place, image: "pipe")
            try writer.wait(seconds: 20)
            return restarted
        }

        /// 16 MiB of which ten pages change.
        static let program = """
            import mmap, os, sys, time
            folder = sys.argv[1]
            size = 16 << 20
            area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            noise = os.urandom(size)
            area[:] = noise
            wanted = bytearray(noise)
            def wait(name):
                while not os.path.exists(folder + '/' + name): time.sleep(0.01)
            open(folder + '/ready', 'w').close()
            for step in range(1, 4):
                wait('change%d' % step)
                for page in range(10):
                    at = (page * 397 + step * 31) * 4096
                    area[at] = wanted[at] = (area[at] + 1) % 256
                open(folder + '/changed%d' % step, 'w').close()
            wait('finish')
            sys.exit(0 if area[:] == bytes(wanted) else 1)
            """

        private func started(_ scratch: Scratch) throws -> Child {
            let child = try scratch.start(["/usr/bin/python3", "-c", Self.program, scratch.path])
            try #require(Clock.wait(seconds: 30) { scratch.exists("ready") })
            return child
        }

        private func change(_ scratch: Scratch, _ step: Int) throws {
            try scratch.write("change\(step)")
            try #require(Clock.wait(seconds: 30) { scratch.exists("changed\(step)") })
        }

        /// Only what has changed is written; the chain is told, found elsewhere, refused where it is not right, and merged.
        @Test func onlyWhatChanged() throws {
            let scratch = try Scratch()
            let child = try started(scratch)
            for step in 0..<4 {
                if step > 0 { try change(scratch, step) }
                try checkpoint(scratch, child, step, ends: step == 3)
            }
            let sizes = (0..<4).map { scratch.bytes("image\($0)").count }
            #expect(sizes[0] > 32 << 20 && sizes[1...].allSatisfy { $0 < 1 << 20 }, "\(sizes)")
            let info = try scratch.run("crimage", ["info", scratch.file("image3")]).require().output
            for name in ["image0", "image1", "image2"] { #expect(info.contains("\(name), "), "\(info)") }
            #expect(!info.contains("missing"))

            try scratch.run(["mkdir", scratch.file("elsewhere")]).require()
            try scratch.run(["mv", scratch.file("image0"), scratch.file("image1"), scratch.file("image2"), scratch.file("elsewhere")]).require()
            let missing = try scratch.run("crrestart", ["--detach", scratch.file("image3")]).expect(2)
            #expect(missing.errors.contains("its parent image image2 is not there"), "\(missing.errors)")
            let told = try scratch.run("crimage", ["info", scratch.file("image3")]).require().output
            #expect(told.contains("(missing)"))
            try scratch.run("crimage", ["verify", scratch.file("image3")]).expect(2)
            try scratch.run("crimage", ["verify", "--parent-dir", scratch.file("elsewhere"), scratch.file("image3")]).expect(0)

            // Another image of the same tree under that name.
            try scratch.run(["cp", scratch.file("elsewhere/image1"), scratch.file("image2")]).require()
            let wrong = try scratch.run("crrestart", ["--detach", scratch.file("image3")]).expect(2)
            #expect(wrong.errors.contains("is another one than its parent"), "\(wrong.errors)")
            scratch.remove("image2")
            #expect(scratch.isEmpty)

            try scratch.run("crimage", ["merge", scratch.file("merged"), scratch.file("image3"), "--parent-dir", scratch.file("elsewhere"), "--compress", "lz4"]).require()
            var (running, root) = try scratch.restart(.namespace, image: "image3", options: ["--parent-dir", scratch.file("elsewhere")])
            // A merged image has the identity of the one that it was made of: its parents are not needed any more.
            try scratch.run(["rm", "-r", scratch.file("elsewhere")]).require()
            let parent = scratch.file("merged")
            try scratch.checkpointAndKill(root, of: running, image: "again", options: ["--parent", parent])
            #expect(scratch.bytes("again").count < 1 << 20)
            (running, root) = try scratch.restart(.here, image: "again")
            try scratch.write("finish")
            #expect(try running.wait(seconds: 30) == .exited(0))
            #expect(scratch.becomesEmpty())
        }

        /// An image is not replaced by one that needs it.
        @Test func notInPlaceOfAParent() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("memory")
            for number in 0..<2 { try checkpoint(scratch, child, number, ends: false) }
            for target in ["image0", "image1"] {
                let before = scratch.bytes(target)
                let refused = try scratch.run(
                    "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file(target), "--force", "--parent", scratch.file("image1")]
                ).expect(1)
                #expect(refused.errors.contains("needs the one of that name") && scratch.bytes(target) == before, "\(refused.errors)")
            }
            try scratch.run("crimage", ["merge", "--force", scratch.file("image0"), scratch.file("image1")]).expect(1)
            try scratch.run("crimage", ["merge", "--force", scratch.file("image1"), scratch.file("image1")]).expect(0)
            try scratch.run("crimage", ["verify", scratch.file("image1")]).expect(0)
            // What is no image, and what is none that can be a parent.
            try scratch.write("text", Array("text".utf8))
            for name in ["text", "absent"] {
                let refused = try scratch.run(
                    "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("new"), "--parent", scratch.file(name)]
                ).expect(1)
                #expect(refused.errors.contains("as the parent image"), "\(refused.errors)")
            }
            try scratch.finishWorkload("memory", child)
        }
    }
}
