import Foundation
import Testing

extension EndToEnd {
    /// The C library for programs that checkpoint themselves, and its examples.
    @Suite(.enabled(if: Host.has("cc"), "needs cc")) struct Library {
        /// The folder that it is built into, beside the commands.
        private static let built = Result { () throws -> String in
            let folder = Host.path(of: "library")
            try Scratch().run([Host.root + "/scripts/library", folder], environment: Host.ownEnvironment).require()
            return folder
        }

        private static func compile(_ source: String, in scratch: Scratch) throws -> String {
            let folder = try built.get()
            let program = scratch.file("program")
            try scratch.run(["cc", "-Wall", "-Wno-unused-result", "-I" + folder, "-o", program, source, folder + "/libtreerestore.a", "-lpthread"], environment: Host.ownEnvironment).require()
            return program
        }

        private static let environment = ["CRCHECKPOINT": Host.path(of: "crcheckpoint")]

        @Test(arguments: Place.allCases) func returnsInBoth(place: Place) throws {
            let scratch = try Scratch()
            let program = try Self.compile(Host.programs + "/selfsaving.c", in: scratch)
            let original = try scratch.start([program, scratch.file("image"), scratch.path], environment: Self.environment)
            let status = try original.wait(seconds: 60)
            #expect(status == .exited(0) && scratch.read("original") == "right", "\(status) \(scratch.read("original"))\(original.errors)")
            try #require(scratch.becomesEmpty())
            let restarted = try scratch.restart(place)
            let end = try restarted.command.wait(seconds: 60)
            #expect(end == .exited(75) && scratch.read("restarted") == "right", "\(end) \(scratch.read("restarted"))\(restarted.command.errors)")
            #expect(scratch.becomesEmpty())
        }

        @Test(arguments: ["c", "py"]) func examples(language: String) throws {
            let scratch = try Scratch()
            let library = try Self.built.get() + "/libtreerestore.so.1"
            let command =
                language == "c" ? [try Self.compile(Host.root + "/examples/checkpoint.c", in: scratch)] : ["/usr/bin/python3", Host.root + "/examples/checkpoint.py"]
            let environment = Self.environment.merging(["LIBTREERESTORE": library]) { $1 }
            try scratch.run(command + [scratch.file("job")], environment: environment).require()
            #expect(scratch.read("job.log") == "the original goes on at 50\nthe sum is 5050\n")
            try #require(scratch.becomesEmpty())
            let restarted = try scratch.restart(image: "job", options: ["--pidns"])
            #expect(try restarted.command.wait(seconds: 60) == .exited(0), "\(restarted.command.errors)")
            #expect(scratch.read("job.log.restarted") == "the restarted copy goes on at 50\nthe sum is 5050\n")
            #expect(scratch.read("job.log") == "the original goes on at 50\nthe sum is 5050\n")
        }

        /// CR_KILL: the call does not come back in the original.
        @Test func ended() throws {
            let scratch = try Scratch()
            let script = """
                import ctypes, sys
                outcome = ctypes.CDLL(sys.argv[1]).cr_checkpoint(sys.argv[2].encode(), 1)
                open(sys.argv[2] + ".outcome", "w").write(str(outcome))
                """
            let original = try scratch.start(
                ["/usr/bin/python3", "-c", script, Self.built.get() + "/libtreerestore.so.1", scratch.file("job")], environment: Self.environment)
            #expect(try original.wait(seconds: 60) == .signaled(SIGKILL), "\(original.errors)")
            try #require(scratch.becomesEmpty())
            #expect(!scratch.exists("job.outcome"))
            let restarted = try scratch.restart(image: "job", options: ["--pidns"])
            #expect(try restarted.command.wait(seconds: 60) == .exited(0) && scratch.read("job.outcome") == "1", "\(restarted.command.errors)")
        }

        /// Without the tool there is an error, and the program goes on.
        @Test(arguments: ["", "/none/crcheckpoint"]) func notInstalled(command: String) throws {
            let scratch = try Scratch()
            let program = try Self.compile(Host.root + "/examples/checkpoint.c", in: scratch)
            let done = try scratch.run([program, scratch.file("job")], environment: ["PATH": "/none", "CRCHECKPOINT": command]).expect(1)
            #expect(done.errors == "no checkpoint: No such file or directory\n")
            #expect(!scratch.exists("job"))
        }
    }
}
