import Foundation
import Testing

extension EndToEnd {
    /// Root restarts the image of an ordinary user, while that user exchanges names under the restart: no file is reached that the
    /// user could not reach.
    @Suite struct Trespass {
        /// Runs as user and group 54321. It appends to `log` for as long as it runs.
        static let program = """
            import os, sys, time
            os.setgroups([]); os.setgid(54321); os.setuid(54321)
            log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            open(sys.argv[2], "w").close()
            while True:
                os.write(log, b"tick\\n")
                time.sleep(0.002)
            """

        /// Exchanges two names for as long as it runs, as the same user.
        static let exchanger = """
            import ctypes, os, sys
            os.setgroups([]); os.setgid(54321); os.setuid(54321)
            libc = ctypes.CDLL(None, use_errno=True)
            one, other = sys.argv[1].encode(), sys.argv[2].encode()
            open(sys.argv[3], "w").close()
            while True:
                if libc.renameat2(-100, one, -100, other, 2) != 0: sys.exit(os.strerror(ctypes.get_errno()))
            """

        /// - Parameter what: the user exchanges the file itself, or the directory that it is in, with a symbolic link into a
        ///   directory of root.
        @Test(arguments: ["file", "directory"]) func namesThatAreExchanged(what: String) throws {
            let scratch = try Scratch()
            let manager = FileManager.default
            for name in ["vault", "home", "home/play"] {
                try manager.createDirectory(atPath: scratch.file(name), withIntermediateDirectories: false)
            }
            try scratch.write("vault/log", Array("secret\n".utf8))
            chmod(scratch.file("vault/log"), 0o600)
            chmod(scratch.file("vault"), 0o700)
            for name in ["home", "home/play"] { #expect(chown(scratch.file(name), 54321, 54321) == 0) }
            let (real, link) = what == "file" ? ("home/play/log", "home/play/link") : ("home/play", "home/link")
            try manager.createSymbolicLink(
                atPath: scratch.file(link), withDestinationPath: scratch.file(what == "file" ? "vault/log" : "vault"))
            #expect(lchown(scratch.file(link), 54321, 54321) == 0)

            let child = try scratch.start(["/usr/bin/python3", "-c", Self.program, scratch.file("home/play/log"), scratch.file("home/ready")])
            try #require(Clock.wait(seconds: 20) { scratch.exists("home/ready") }, "\(child.errors)")
            try scratch.checkpointAndKill(child.pid, of: child)
            let exchanger = try scratch.start(["/usr/bin/python3", "-c", Self.exchanger, scratch.file(real), scratch.file(link), scratch.file("home/exchanging")])
            try #require(Clock.wait(seconds: 20) { scratch.exists("home/exchanging") }, "\(exchanger.errors)")

            var (restarted, refused) = (0, 0)
            for attempt in 0..<200 {
                let begin = Self.size(scratch)
                let place = attempt % 2 == 0 ? Place.namespace : .here
                let running = try scratch.start("crrestart", place.options + [scratch.file("image")])
                // Either it writes to its own file, or it has been refused.
                let isKnown = Clock.wait(seconds: 20) { running.poll() != nil || Self.size(scratch) > begin }
                #expect(isKnown, "attempt \(attempt): \(running.errors)")
                if let status = running.poll() {
                    refused += 1
                    #expect(status == .exited(1) || status == .exited(3), "attempt \(attempt): \(status) \(running.errors)")
                } else {
                    restarted += 1
                }
                running.end()
                let isGone = Clock.wait(seconds: 20) {
                    let rest = scratch.living().filter { $0.pid != exchanger.pid }
                    rest.forEach { kill($0.pid, SIGKILL) }
                    return scratch.reapOrphans() == 0 && rest.isEmpty
                }
                try #require(isGone, "attempt \(attempt): \(scratch.living().map(\.pid))")
                try #require(scratch.read("vault/log") == "secret\n", "attempt \(attempt): root's file was written to")
                try #require(exchanger.poll() == nil, "\(exchanger.errors)")
            }
            print("\(what) exchanged under the restart: \(restarted) restarted, \(refused) refused")
            #expect(restarted > 0 && refused > 0)
        }

        /// The file that the program writes to, by either of its names.
        private static func size(_ scratch: Scratch) -> Int {
            var most = 0
            for name in ["home/play/log", "home/play/link", "home/link/log"] {
                var found = stat()
                if lstat(scratch.file(name), &found) == 0, found.st_mode & S_IFMT == S_IFREG, found.st_uid == 54321 {
                    most = max(most, Int(found.st_size))
                }
            }
            return most
        }
    }
}
