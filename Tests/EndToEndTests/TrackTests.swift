import Foundation
import Testing

extension EndToEnd {
    /// `--track`: the kernel notes what is written, and the next checkpoint with `--parent` compares no other pages.
    @Suite struct Track {
        /// Each step changes memory in another way, and notes what is to be found at the end. A child forks after the first image and
        /// goes on with memory of its own.
        private static let program = """
            import ctypes, mmap, os, sys, time
            folder = sys.argv[1]
            libc = ctypes.CDLL(None, use_errno=True)
            libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
            libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
            libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
            libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
            libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
            PAGE, MIB, BASE = 4096, 1 << 20, 0x300000000000
            # By place: what is to be there, and a mark for each page of which the first bytes were changed.
            areas = {}
            def area(place, size):
                if libc.mmap(place, size, 3, 0x100022, -1, 0) != place: sys.exit(3)
                libc.madvise(place, size, 15)
                noise = os.urandom(size)
                ctypes.memmove(place, noise, size)
                areas[place] = [noise, bytearray(size // PAGE)]
            def change(place, page, mark):
                ctypes.memmove(place + page * PAGE, bytes([mark]) * 16, 16)
                areas[place][1][page] = mark
            def wait(name):
                while not os.path.exists(folder + '/' + name): time.sleep(0.01)
            def right():
                for place, (noise, marks) in areas.items():
                    for page, mark in enumerate(marks):
                        text = noise[page * PAGE:(page + 1) * PAGE]
                        if mark: text = bytes([mark]) * 16 + text[16:]
                        if ctypes.string_at(place + page * PAGE, PAGE) != text: return False
                return True
            A, B, C, D, E = (BASE + n * (1 << 32) for n in range(5))
            area(A, 64 * MIB)
            for place in (B, C, D): area(place, 4 * MIB)
            open(folder + '/ready.new', 'w').close()
            os.rename(folder + '/ready.new', folder + '/ready')
            wait('step1')
            for number in range(4096): change(A, number * 2, 1)
            open(folder + '/done1', 'w').close()
            wait('step2')
            libc.munmap(B, 4 * MIB)
            area(B, 4 * MIB)
            libc.madvise(C, MIB, 4)
            areas[C][0] = bytes(MIB) + areas[C][0][MIB:]
            ctypes.string_at(C, MIB // 2)
            if libc.mremap(D, 4 * MIB, 4 * MIB, 3, E) != E: sys.exit(4)
            areas[E] = areas[D]
            area(D, 4 * MIB)
            change(E, 0, 7)
            reader, writer = os.pipe()
            os.write(writer, b'k' * 16)
            os.readv(reader, [(ctypes.c_char * 16).from_address(A + 50 * MIB)])
            areas[A][1][50 * 256] = ord('k')
            child = os.fork()
            if child == 0:
                for number in range(100): change(A, 9000 + number, 2)
                open(folder + '/forked', 'w').close()
                wait('finish')
                os._exit(0 if right() else 5)
            wait('forked')
            open(folder + '/done2', 'w').close()
            wait('finish')
            status = os.waitpid(child, 0)[1]
            sys.exit(status >> 8 if status else 0 if right() else 6)
            """

        private func started(_ scratch: Scratch) throws -> Child {
            let child = try scratch.start(["/usr/bin/python3", "-c", Self.program, scratch.path])
            try #require(Clock.wait(seconds: 30) { scratch.exists("ready") || child.poll() != nil } && child.poll() == nil, "\(child.errors)")
            return child
        }

        private func step(_ number: Int, _ scratch: Scratch) throws {
            try scratch.write("step\(number)")
            try #require(Clock.wait(seconds: 60) { scratch.exists("done\(number)") })
        }

        private func checkpoint(_ scratch: Scratch, _ child: Child, _ number: Int, _ options: [String]) throws -> [String: Any] {
            let parent = number == 0 ? [] : ["--parent", scratch.file("image\(number - 1)")]
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image\(number)"), "--json"] + parent + options
            let text = try scratch.run("crcheckpoint", arguments).require().output
            return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        }

        private func keepers(_ scratch: Scratch) -> [pid_t] { scratch.living().filter { $0.command == "crkeeper" }.map(\.pid) }

        /// With a first image and its keeper.
        private func tracked(_ scratch: Scratch) throws -> (child: Child, keeper: pid_t) {
            let child = try started(scratch)
            _ = try checkpoint(scratch, child, 0, ["--track"])
            // It gets its name when crcheckpoint may have ended already.
            try #require(Clock.wait(seconds: 30) { keepers(scratch).count == 1 })
            return (child, try #require(keepers(scratch).first))
        }

        private func finish(_ command: Child, _ scratch: Scratch) throws {
            try scratch.write("finish")
            #expect(try command.wait(seconds: 60) == .exited(0), "\(command.errors)")
            #expect(scratch.becomesEmpty())
        }

        private func isTracked(_ child: Child) -> Bool {
            let text = (try? ProcessTable.text("/proc/\(child.pid)/smaps")) ?? ""
            return text.split(separator: "\n").contains { $0.hasPrefix("VmFlags:") && $0.split(separator: " ").contains("uw") }
        }

        /// A quarter of 64 MiB changes, then mappings and processes come and go; each image is restarted.
        @Test(arguments: ["never", "always"]) func onlyWhatWasWritten(live: String) throws {
            let scratch = try Scratch()
            let child = try started(scratch)
            let options = ["--track", "--live=\(live)"]
            let first = try checkpoint(scratch, child, 0, options)
            #expect(first["known_bytes"] as? Int == 0 && first["tracked_bytes"] as? Int ?? 0 >= 76 << 20, "\(first)")
            // It gets its name when crcheckpoint may have ended already.
            #expect(Clock.wait(seconds: 30) { keepers(scratch).count == 1 } && isTracked(child))
            try step(1, scratch)
            let second = try checkpoint(scratch, child, 1, options)
            #expect(second["known_bytes"] as? Int ?? 0 >= 40 << 20, "\(second)")
            // Besides, Python's own memory.
            let changed = 4096 * 4096
            #expect(scratch.bytes("image1").count < changed + changed / 20 + 512 << 10, "\(scratch.bytes("image1").count)")
            #expect(Clock.wait(seconds: 30) { keepers(scratch).count == 1 })
            try step(2, scratch)
            // Most of it is shared with the child now, and compared.
            _ = try checkpoint(scratch, child, 2, options)
            for number in 0..<3 { try scratch.run("crimage", ["verify", scratch.file("image\(number)")]).expect(0) }
            try finish(child, scratch)
            scratch.remove("finish")
            try finish(try scratch.restart(.here, image: "image2").command, scratch)
            for name in ["finish", "forked", "done2"] { scratch.remove(name) }
            try finish(try scratch.restart(.namespace, image: "image1").command, scratch)
        }

        /// Without the keeper, and against another image than the one that it was started for, all pages are compared.
        @Test func keeperIsEnded() throws {
            let scratch = try Scratch()
            let (child, keeper) = try tracked(scratch)
            #expect(kill(keeper, SIGTERM) == 0 && Clock.wait(seconds: 10) { keepers(scratch).isEmpty })
            #expect(!isTracked(child))
            try step(1, scratch)
            let second = try checkpoint(scratch, child, 1, ["--track"])
            #expect(second["known_bytes"] as? Int == 0, "\(second)")
            _ = try checkpoint(scratch, child, 2, [])
            try step(2, scratch)
            let fourth = try checkpoint(scratch, child, 3, [])
            #expect(fourth["known_bytes"] as? Int == 0, "\(fourth)")
            try scratch.checkpointAndKill(child.pid, of: child)
            #expect(Clock.wait(seconds: 10) { keepers(scratch).isEmpty })
            try finish(try scratch.restart(.here, image: "image3").command, scratch)
        }

        /// Notes of the keeper of a process, by its number.
        private func notes(of pid: pid_t) -> [String] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: "/run/treerestore")) ?? []
            return names.filter { $0.hasPrefix("keeper-") && $0.hasSuffix("-\(pid)") }.map { "/run/treerestore/" + $0 }
        }

        /// A note tells where the keeper is, for as long as it lives; one that tells something else, or none, does no harm.
        @Test func notesLeadToTheKeeper() throws {
            let scratch = try Scratch()
            let (child, keeper) = try tracked(scratch)
            let note = try #require(notes(of: child.pid).first)
            func text() throws -> String { try String(contentsOfFile: note, encoding: .utf8) }
            #expect(try text().hasPrefix("\(keeper) "))
            // It keeps no pipe, terminal, directory or file of anything else.
            let own = ["/dev/null", "anon_inode:[userfaultfd]", "anon_inode:[pidfd]", "pidfd:", "/memfd:crcheckpoint-track"]
            let links = ["cwd"] + (try FileManager.default.contentsOfDirectory(atPath: "/proc/\(keeper)/fd").map { "fd/" + $0 })
            for link in links {
                let target = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(keeper)/\(link)")
                #expect(link == "cwd" ? target == "/" : own.contains { target.hasPrefix($0) }, "\(link): \(target)")
            }
            let start = try text().split(separator: " ").last ?? ""
            for wrong in ["", "\(getpid()) \(start)", "\(keeper) 1\n", "999999999999 1\n"] {
                try Data(wrong.utf8).write(to: URL(fileURLWithPath: note))
                let next = try checkpoint(scratch, child, 1, ["--force"])
                #expect(next["known_bytes"] as? Int ?? 0 >= 70 << 20, "\(wrong): \(next)")
            }
            try FileManager.default.removeItem(atPath: note)
            _ = try checkpoint(scratch, child, 1, ["--track", "--force"])
            try #require(Clock.wait(seconds: 30) { keepers(scratch).count == 1 && keepers(scratch).first != keeper })
            #expect(try text().hasPrefix("\(keepers(scratch)[0]) "))
            for number in 1...2 { try step(number, scratch) }
            try finish(child, scratch)
            #expect(notes(of: child.pid).isEmpty)
        }

        /// `--untrack`, by the tree whose keeper it is and by no other.
        @Test func isGivenUp() throws {
            let scratch = try Scratch()
            let (child, _) = try tracked(scratch)
            let other = try scratch.start(["sleep", "60"])
            let none = try scratch.run("crcheckpoint", ["--tree", "\(other.pid)", "--untrack", "--json"]).expect(0)
            #expect(none.output == "{\"untracked\": 0}\n" && keepers(scratch).count == 1, "\(none.output)")
            other.signal(SIGKILL)
            let done = try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "--untrack"]).expect(0)
            #expect(done.output == "1 keeper was ended\n" && keepers(scratch).isEmpty && !isTracked(child), "\(done.output)")
            try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "--untrack", "-o", scratch.file("image")]).expect(64)
            try step(1, scratch)
            let second = try checkpoint(scratch, child, 1, [])
            #expect(second["known_bytes"] as? Int == 0, "\(second)")
            try step(2, scratch)
            try finish(child, scratch)
        }

        /// Whatever fails or dies: the tree goes on, nothing is left in it, and the next image is right.
        @Test(arguments: [
            "track=EINVAL", "track:2=EBUSY", "track:5=EIO", "fork-tracker=EAGAIN", "track=SIGKILL", "track:2=SIGKILL", "track:6=SIGKILL",
            "write-image=SIGKILL", "fork-tracker=SIGKILL",
        ])
        func whatFails(setting: String) throws {
            let scratch = try Scratch()
            let child = try started(scratch)
            let descriptors = { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(child.pid)/fd"))?.count }
            let before = descriptors()
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image0"), "--track", "--live=never"]
            let done = try scratch.run([Host.path(of: "crcheckpoint")] + arguments, environment: ["TREERESTORE_FAULT": setting])
            if setting.hasSuffix("SIGKILL") {
                #expect(done.status == .signaled(SIGKILL) && Clock.wait(seconds: 10) { !isTracked(child) && keepers(scratch).isEmpty }, "\(done.status)")
            } else {
                #expect(done.status == .exited(0) && done.errors.contains("tracked"), "\(done.status) \(done.errors)")
            }
            #expect(descriptors() == before)
            // A process that waits for its helper goes on after a second, and cannot be stopped until then.
            try #require(Clock.wait(seconds: 30) { ProcessTable.tree(of: child.pid).count == 1 })
            if !scratch.exists("image0") { _ = try checkpoint(scratch, child, 0, []) }
            try step(1, scratch)
            _ = try checkpoint(scratch, child, 1, ["--track"])
            try step(2, scratch)
            _ = try checkpoint(scratch, child, 2, [])
            try finish(child, scratch)
            scratch.remove("finish")
            try finish(try scratch.restart(.here, image: "image2").command, scratch)
        }

        @Test(arguments: ["--kill", "--stop", "--dry-run"]) func hasNoSenseThere(option: String) throws {
            let scratch = try Scratch()
            let done = try scratch.run("crcheckpoint", ["--tree", "\(getpid())", "-o", scratch.file("image"), option, "--track"]).expect(64)
            #expect(done.errors.contains("--track is for a tree that goes on"), "\(done.errors)")
        }
    }
}
