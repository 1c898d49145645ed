import Foundation
import Testing

extension EndToEnd {
    /// The Debian package of `scripts/package`: installed into an empty root and tried there.
    @Suite(.enabled(if: Host.has("dpkg-deb"), "needs dpkg"))
    struct Package {
        private static let commands = ["crcheckpoint", "crimage", "crrestart"]

        /// The package, made once for all tests; the static build takes some minutes unless it is there already.
        private static let built = Result { try build() }

        private static func build() throws -> String {
            let scratch = try Scratch()
            var done: Finished?
            let seconds = try Clock.seconds { done = try scratch.run([Host.root + "/scripts/package"], seconds: 1800, environment: Host.ownEnvironment) }
            print("scripts/package took \(Int(seconds)) s")
            let finished = try #require(done).require()
            let path = try #require(finished.output.split(separator: "\n").last, "\(finished.errors)")
            return Host.root + "/" + path
        }

        /// A root with nothing in it but the package.
        private static func install(in scratch: Scratch) throws -> String {
            let root = scratch.file("root")
            for folder in ["info", "updates", "triggers"] {
                try FileManager.default.createDirectory(atPath: root + "/var/lib/dpkg/" + folder, withIntermediateDirectories: true)
            }
            for file in ["status", "available"] { try scratch.write("root/var/lib/dpkg/" + file) }
            try scratch.run(["dpkg", "--root=" + root, "--install", try built.get()]).require()
            return root
        }

        @Test func sameCommitGivesTheSameBytes() throws {
            let package = try Self.built.get()
            let first = try Data(contentsOf: URL(fileURLWithPath: package))
            #expect(try Self.build() == package)
            #expect(try Data(contentsOf: URL(fileURLWithPath: package)) == first)
        }

        /// The version stands in one place of the sources and in the changelog.
        @Test func fieldsSayWhatItIs() throws {
            let scratch = try Scratch()
            let package = try Self.built.get()
            func field(_ name: String) throws -> String {
                try scratch.run(["dpkg-deb", "--field", package, name]).require().output.trimmingCharacters(in: .whitespacesAndNewlines)
            }
            #expect(try field("Package") == "treerestore")
            #expect(try field("Section") == "admin")
            #expect(try field("Depends") == "")
            #expect(try field("Maintainer").hasPrefix("TreeRestore developers <"))
            let architecture = try scratch.run(["dpkg", "--print-architecture"]).require().output
            #expect(try field("Architecture") + "\n" == architecture)
            let changes = try String(contentsOfFile: Host.root + "/CHANGELOG.md", encoding: .utf8)
            let newest = try #require(changes.split(separator: "\n").first { $0.hasPrefix("## ") })
            #expect(newest.hasPrefix("## " + (try field("Version")) + " "), "\(newest)")
        }

        @Test func installsRunsAndGoesAway() throws {
            let scratch = try Scratch()
            let root = try Self.install(in: scratch)
            let formatVersion = try scratch.run("crimage", ["--version"]).require().output
            // Nothing but /proc is in this root beside the package: no library and no shell.
            try FileManager.default.createDirectory(atPath: root + "/proc", withIntermediateDirectories: false)
            func inside(_ command: String, _ arguments: String...) throws -> Finished {
                let enter = "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" \"$@\""
                return try scratch.run(["unshare", "--mount", "sh", "-c", enter, root, "/usr/bin/" + command] + arguments)
            }
            for command in Self.commands {
                let line = try inside(command, "--version").require().output
                #expect(line == formatVersion.replacingOccurrences(of: "crimage", with: command))
                try inside(command, "--help").require()
                try inside(command, "--no-such-option").expect(64)
            }
            try inside("crimage", "info", "/none").expect(1)
            let documents = root + "/usr/share/doc/treerestore"
            for name in ["README.md", "copyright", "changelog.gz", "docs/troubleshooting.md"] {
                #expect(FileManager.default.fileExists(atPath: documents + "/" + name), "\(name)")
            }
            try scratch.run(["dpkg", "--root=" + root, "--purge", "treerestore"]).require()
            #expect(!FileManager.default.fileExists(atPath: root + "/usr/bin"))
        }

        /// The installed commands do their work on a tree of processes.
        @Test func savesAndRestartsATree() throws {
            let scratch = try Scratch()
            let folder = try Self.install(in: scratch) + "/usr/bin/"
            let child = try scratch.startWorkload("processes", ["3"])
            let image = scratch.file("image")
            try scratch.run([folder + "crcheckpoint", "--tree", "\(child.pid)", "-o", image, "--kill"]).require()
            try child.wait(seconds: 20)
            try #require(scratch.becomesEmpty())
            try scratch.run([folder + "crimage", "verify", image]).require()
            let restarted = try scratch.start([folder + "crrestart", "--pidns", "--copy-status", image])
            try scratch.finishWorkload("processes", restarted)
        }

        /// The Python programs are one file each, and find the commands beside them.
        @Test func scriptsAreOneFileEach() throws {
            let scratch = try Scratch()
            let root = try Self.install(in: scratch)
            let migrate = try scratch.run([root + "/usr/bin/crmigrate", "--help"]).require().output
            #expect(migrate.contains("--max-stop") && migrate.contains("--resolve"), "\(migrate)")
            try scratch.run([root + "/usr/bin/crmigrate", "1"]).expect(64)
            try scratch.run([root + "/usr/bin/crjob", "run", "--dir", scratch.file("job"), "--", "sh", "-c", "exit 7"]).expect(7)
            for file in ["lib/systemd/system/crjob@.service", "share/doc/treerestore/examples/slurm/batch"] {
                #expect(FileManager.default.fileExists(atPath: root + "/usr/" + file), "\(file)")
            }
        }

        /// Man pages are set without a warning and name every option of `--help`.
        @Test(arguments: commands) func manualIsComplete(command: String) throws {
            let scratch = try Scratch()
            let page = try Self.install(in: scratch) + "/usr/share/man/man1/\(command).1.gz"
            let source = try scratch.run(["zcat", page]).require().output
            for line in [".Sh NAME", ".Sh SYNOPSIS", ".Sh DESCRIPTION", ".Sh \"EXIT STATUS\"", ".Sh EXAMPLES"] {
                #expect(source.contains(line + "\n"), "\(line)")
            }
            let wide = ["MANWIDTH": "200", "LC_ALL": "C.UTF-8"]
            let shown = try scratch.run(["man", "--warnings", "--local-file", page], environment: wide).require()
            #expect(shown.errors.isEmpty, "\(shown.errors)")
            let help = try scratch.run(command, ["--help"]).require().output
            let names = Set(help.matches(of: /--[a-z][a-z-]+/).map { String($0.output) })
            #expect(names.contains("--version"))
            for name in names { #expect(shown.output.contains(name), "\(name)") }
            // Every value has a name like PID; a name made by the library would be <log-file>.
            #expect(!(help + shown.output).contains(/<(?!options|subcommand)[a-z-]+>/), "\(help)")
        }

        /// Completions are read by their shells without an error, and bash completes a half-typed option.
        @Test(arguments: commands) func completionsWork(command: String) throws {
            let scratch = try Scratch()
            let share = try Self.install(in: scratch) + "/usr/share/"
            let files = [
                "bash": share + "bash-completion/completions/" + command, "zsh": share + "zsh/vendor-completions/_" + command,
                "fish": share + "fish/vendor_completions.d/\(command).fish",
            ]
            for (shell, file) in files {
                #expect(FileManager.default.fileExists(atPath: file), "\(file)")
                if Host.has(shell) { try scratch.run([shell, "-n", file]).require() }
            }
            let script = """
                source "$1"; COMP_WORDS=("$2" --he); COMP_CWORD=1; COMP_LINE="$2 --he"; COMP_POINT=${#COMP_LINE}
                function=$(complete -p "$2" | sed -E 's/.* -F ([^ ]+).*/\\1/')
                "$function" "$2" --he "$2"; echo "${COMPREPLY[@]}"
                """
            let bash = try #require(files["bash"])
            let done = try scratch.run(["bash", "-c", script, "bash", bash, command]).require()
            #expect(done.output.contains("--help"), "\(done.output)\(done.errors)")
        }
    }
}
