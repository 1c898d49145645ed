import Foundation
import Testing

extension EndToEnd {
    /// What files' names lead to changes between a checkpoint and a restart, or has changed before.
    @Suite struct Names {
        private let scratch: Scratch

        init() throws { scratch = try Scratch() }

        private static let user = ["setpriv", "--reuid=65000", "--regid=65000", "--clear-groups"]

        /// An ordinary user's program has been checkpointed by root and ended.
        private func end(as user: [String] = Self.user, program: String = "/usr/bin/python3", _ options: [String] = []) throws {
            let child = try scratch.start(user + [program, Host.programs + "/names.py", scratch.path])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(child.errors)")
            try scratch.checkpointAndKill(child.pid, of: child, options: options)
        }

        private func restart(_ place: Place = .namespace, _ options: [String] = []) throws -> Finished {
            try scratch.write("finish")
            return try scratch.run("crrestart", place.options + options + [scratch.file("image")], seconds: 30)
        }

        /// A directory that root alone has.
        private func secret() throws -> String {
            let place = scratch.file("secret")
            try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try scratch.write("secret/f", Array("precious".utf8))
            try scratch.write("secret/job", Array("job".utf8))
            return place
        }

        private func refuse(_ reason: String, status: Int32 = 3, sourceLocation: SourceLocation = #_sourceLocation) throws {
            let refused = try restart().expect(status, sourceLocation: sourceLocation)
            #expect(refused.errors.contains(reason), "\(refused.errors)", sourceLocation: sourceLocation)
            #expect(!scratch.exists("result") && scratch.becomesEmpty(), sourceLocation: sourceLocation)
        }

        private func rename(_ old: String, _ new: String) throws { try scratch.run(["mv", "-T", scratch.file(old), scratch.file(new)]).require() }

        @Test(arguments: Place.allCases) func nothingHasChanged(place: Place) throws {
            try end()
            try restart(place).expect(0)
            #expect(scratch.read("result") == "OK first \(scratch.file("here"))\n")
            #expect(scratch.read("f") == "WRITE" && scratch.read("log") == "line 1\nline 2\n")
        }

        /// The user makes a link to a file of root of what the program had open.
        @Test func linkInPlaceOfAFile() throws {
            try end()
            let place = try secret()
            scratch.remove("f")
            try FileManager.default.createSymbolicLink(atPath: scratch.file("f"), withDestinationPath: place + "/f")
            try refuse("is reached through a symbolic link, which was not there at the checkpoint")
            #expect(scratch.read("secret/f") == "precious")
        }

        @Test func fileThatTheUserMayNotOpen() throws {
            try end()
            _ = try secret()
            try rename("secret/f", "f")
            chmod(scratch.file("f"), 0o600)
            try refuse("EACCES for user 65000")
            // Another file of the user is as good as the old one: it may come from a copy.
            chown(scratch.file("f"), 65000, 65000)
            try restart().expect(0)
            #expect(scratch.read("result").hasPrefix("OK precious "))
        }

        /// A program of root in a directory of the user is no way to root's files, either.
        @Test func rootsProgramFollowsNoLink() throws {
            try end(as: [])
            let place = try secret()
            scratch.remove("f")
            try FileManager.default.createSymbolicLink(atPath: scratch.file("f"), withDestinationPath: place + "/f")
            try refuse("is reached through a symbolic link")
        }

        /// The file is exchanged for the link, and back, all the time.
        @Test func linkWhileItIsRestarted() throws {
            try end()
            let place = try secret()
            try FileManager.default.createSymbolicLink(atPath: scratch.file("link"), withDestinationPath: place + "/f")
            let exchange = """
                import ctypes, os, sys
                libc, one, two = ctypes.CDLL(None), sys.argv[1].encode(), sys.argv[2].encode()
                while True: libc.renameat2(-100, one, -100, two, 2)
                """
            let swapper = try scratch.start(Self.user + ["/usr/bin/python3", "-c", exchange, scratch.file("f"), scratch.file("link")])
            for _ in 0..<15 {
                let finished = try restart()
                #expect([.exited(0), .exited(1), .exited(3)].contains(finished.status), "\(finished.errors)")
                #expect(scratch.read("secret/f") == "precious")
                #expect(!scratch.read("result").contains("precious"))
                scratch.remove("result")
            }
            swapper.end()
        }

        /// Where the removed file was, the user puts a link to another directory: nothing is made or removed there.
        @Test func linkInPlaceOfADirectory() throws {
            try end()
            let place = try secret()
            scratch.remove("d")
            try FileManager.default.createSymbolicLink(atPath: scratch.file("d"), withDestinationPath: place)
            var before = stat()
            var after = stat()
            stat(place, &before)
            try restart().expect(0)
            stat(place, &after)
            #expect(scratch.read("result").hasPrefix("OK "))
            #expect(try FileManager.default.contentsOfDirectory(atPath: place).sorted() == ["f", "job"])
            #expect(before.st_mtim.tv_sec == after.st_mtim.tv_sec && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec)
            #expect(scratch.read("secret/job") == "job")
        }

        @Test func linkInPlaceOfTheWorkingDirectory() throws {
            try end()
            let place = try secret()
            scratch.remove("here")
            try FileManager.default.createSymbolicLink(atPath: scratch.file("here"), withDestinationPath: place)
            try refuse("is reached through a symbolic link")
        }

        /// It would be waited for without end.
        @Test func namedPipeInPlaceOfAFile() throws {
            try end()
            scratch.remove("f")
            mkfifo(scratch.file("f"), 0o666)
            try refuse("is another kind of file than at the checkpoint")
        }

        /// The program goes on at the old end, and says so.
        @Test func grownLog() throws {
            try end()
            try scratch.write("log", Array("line 1\nof a run that was lost\n".utf8))
            chmod(scratch.file("log"), 0o666)
            let told = try restart().expect(0)
            #expect(told.errors.contains("log: has grown since the checkpoint (30 bytes, not 7)"), "\(told.errors)")
            #expect(scratch.read("log") == "line 1\nline 2\nn that was lost\n")
        }

        /// What was added is kept beside the file.
        @Test(arguments: Place.allCases) func rollback(place: Place) throws {
            try end()
            chmod(scratch.path, 0o777)
            try scratch.write("log", Array("line 1\nof a run that was lost\n".utf8))
            chmod(scratch.file("log"), 0o666)
            let told = try restart(place, ["--files", "rollback"]).expect(0)
            #expect(told.errors.contains("log: cut to its 7 bytes at the checkpoint"), "\(told.errors)")
            #expect(scratch.read("log") == "line 1\nline 2\n")
            #expect(scratch.read("log.after-checkpoint") == "of a run that was lost\n")
            // What was there before is another file's: it is left alone.
            scratch.remove("result")
            try scratch.write("log", Array("LINE 1\nof a run that was lost\n".utf8))
            chmod(scratch.file("log"), 0o666)
            let refused = try restart(place, ["--files", "rollback"]).expect(3)
            #expect(refused.errors.contains("its first 7 bytes are not those of the checkpoint"), "\(refused.errors)")
            #expect(scratch.read("log").hasPrefix("LINE 1\nof"))
        }

        @Test func acceptedFiles() throws {
            try end()
            try scratch.write("log", Array("li".utf8))
            chmod(scratch.file("log"), 0o666)
            try refuse("log: is shorter than at the checkpoint (2 of 7 bytes)")
            try scratch.write("data", Array("CONSTANT".utf8))
            let told = try restart(.namespace, ["--files", "accept"])
            #expect(told.errors.contains("it is taken as it is"), "\(told.errors)")
            #expect(scratch.read("log") == "li\0\0\0\0\0line 2\n")
        }

        /// The directory of all its files is elsewhere now.
        @Test(arguments: Place.allCases) func moved(place: Place) throws {
            try end()
            let folder = scratch.path + "-moved"
            try scratch.run(["cp", "-a", scratch.path, folder]).require()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            // The standard output of the program is a file of root in there.
            try scratch.run(["chown", "-R", "65000", folder]).require()
            for name in ["f", "log", "data"] { scratch.remove(name) }
            try refuse("--path \(scratch.file("log"))=FILE names it where it is elsewhere")
            try restart(place, ["--path", "\(scratch.path)=\(folder)"]).expect(0)
            #expect(try String(contentsOfFile: folder + "/log", encoding: .utf8) == "line 1\nline 2\n")
            #expect(!scratch.exists("log"))
        }

        /// Its time says that it has changed, its contents say that it has not.
        @Test func mappedFileThatWasTouched() throws {
            try end()
            chmod(scratch.file("data"), 0o444)
            utimes(scratch.file("data"), nil)
            try restart().expect(0)
            #expect(scratch.read("result").hasPrefix("OK "))
        }

        @Test func mappedFileThatHasChanged() throws {
            try end()
            try scratch.write("data", Array("CONSTANT".utf8))
            try refuse("has changed since the checkpoint")
        }

        /// The program and a mapped file are gone, or others: the image has them.
        @Test(arguments: Place.allCases) func carriedPrograms(place: Place) throws {
            try scratch.run(["cp", "-L", "/usr/bin/python3", scratch.file("python")]).require()
            try end(program: scratch.file("python"), ["--with-files", "programs"])
            scratch.remove("python")
            try scratch.write("data", Array("CONSTANT".utf8))
            try restart(place).expect(0)
            #expect(scratch.read("result").hasPrefix("OK first "))
            #expect(scratch.read("data") == "CONSTANT" && !scratch.exists("python"))
        }

        // MARK: - Refused while the program still runs

        @Test(arguments: [
            ("unmounted", "/etc is another directory now, or none"), ("hidden", "has lost its name"), ("append", "has become append-only"),
            ("link", "/a -xdev -inum "), ("long", "has a path of more than 4096 bytes"),
        ])
        func whatNoNameLeadsTo(kind: String, reason: String) throws {
            let child = try scratch.start(["unshare", "-m", "/usr/bin/python3", Host.programs + "/lost.py", kind, scratch.path])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(child.errors)")
            let refused = try scratch.run(
                [
                    "nsenter", "-m", "-t", "\(child.pid)", Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)", "-o",
                    scratch.file("image"), "--kill",
                ]
            ).expect(4)
            #expect(refused.errors.contains(reason), "\(refused.errors)")
            #expect(!scratch.exists("image") && child.poll() == nil)
            child.end()
            if kind == "append" { try scratch.run(["chattr", "-a", scratch.file("file")]).require() }
        }
    }
}
