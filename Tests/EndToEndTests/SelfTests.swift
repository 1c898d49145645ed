import Foundation
import Testing

extension EndToEnd {
    /// Trees that have crcheckpoint save them from inside.
    @Suite struct SelfCheckpoint {
        private static let command = "\(Host.path(of: "crcheckpoint")) --tree $$ -o $D/image"

        /// How a shell runs the command, and the status that it finds.
        static let ways = [
            "plain": "$C; s=$?",
            "script": "$C && s=0 || s=$?",
            "substitution": "text=$($C); s=$?; case $s$text in 0*processes*|75) ;; *) s=99;; esac",
            "redirected": "$C > $D/out 2> $D/err < /dev/null; s=$?",
            "grandchild": "sh -c \"trap '' USR1; $C; exit \\$?\"; s=$?",
            "subshell": "(exec 9< /etc/passwd; $C); s=$?",
            "fed": "seq 20000 | $C; s=$?",
            "waited": "$C & wait $!; s=$?",
            "environment": "env -i $C; s=$?",
            "locked": "exec 9> $D/lock; flock 9; $C; s=$?; flock -n $D/lock true && s=98",
            "session": "setsid -w $C; s=$?",
            "piped": "$C | cat > $D/out; s=${PIPESTATUS[0]}",
            "jobs": "set -m; $C; s=$?",
            "pipedjobs": "set -m; $C 2>&1 | cat > $D/out; s=${PIPESTATUS[0]}",
            "trapped": "trap 'echo child >> $D/children' CHLD; $C; s=$?",
            "coprocess": "coproc $C; pid=$COPROC_PID; wait $pid; s=$?",
        ]

        /// The rest of the script: other work goes on, and the status tells which tree this is.
        private static let rest = """
            echo $s >> $D/statuses
            [ "$(seq 100 | sort -n | tail -1)" = 100 ] || exit 97
            sleep 0.01 & wait $! || exit 96
            exit $s
            """

        /// - Parameter root: the original, which waits for its end.
        private func check(_ scratch: Scratch, _ root: Child) throws {
            let status = try root.wait(seconds: 60)
            try #require(status == .exited(0) && scratch.read("statuses") == "0\n", "\(status) \(scratch.read("statuses"))\(root.errors)")
            try #require(scratch.becomesEmpty())
            try scratch.run("crimage", ["verify", scratch.file("image")]).require()
            for (place, wanted) in [(Place.namespace, "0\n75\n"), (.here, "0\n75\n75\n")] {
                let restarted = try scratch.restart(place)
                let end = try restarted.command.wait(seconds: 60)
                #expect(end == .exited(75) && scratch.read("statuses") == wanted, "\(place): \(end) \(scratch.read("statuses"))\(restarted.command.errors)")
                #expect(scratch.becomesEmpty())
            }
        }

        @Test(arguments: ways.keys.sorted(), ["bash", "dash"]) func shells(way: String, shell: String) throws {
            guard let script = Self.ways[way] else { return }
            // dash has no PIPESTATUS and no coprocesses.
            if shell == "dash" && ["piped", "pipedjobs", "coprocess"].contains(way) { return }
            let scratch = try Scratch()
            try scratch.write("script", Array("D=\(scratch.path)\nC=\"\(Self.command)\"\n\(script)\n\(Self.rest)\n".utf8))
            try check(scratch, scratch.start([shell, scratch.file("script")]))
        }

        @Test(arguments: ["run", "captured", "fed", "over_socket", "threaded", "signalled", "polled", "awaited", "grandchild", "forked"])
        func python(way: String) throws {
            let scratch = try Scratch()
            try check(scratch, scratch.start(["/usr/bin/python3", Host.programs + "/selfcalls.py", Host.path(of: "crcheckpoint"), scratch.path, way]))
        }

        /// A parent that ignores SIGCHLD, or wants no children that have ended, finds no child that it could wait for, in neither tree.
        @Test(arguments: ["SIG_IGN", "SA_NOCLDWAIT"]) func childThatIsNotWaitedFor(way: String) throws {
            let program = """
                import ctypes, os, signal, sys
                if sys.argv[3] == "SIG_IGN": signal.signal(signal.SIGCHLD, signal.SIG_IGN)
                else:
                    # struct sigaction of the C library: handler, mask of 1,024 signals, flags, restorer.
                    action = (ctypes.c_uint64 * 19)()
                    action[17] = 2
                    assert ctypes.CDLL(None).sigaction(signal.SIGCHLD, action, None) == 0
                command = [sys.argv[1], "--tree", str(os.getpid()), "-o", sys.argv[2] + "/image"]
                pid = os.posix_spawn(command[0], command, os.environ)
                try: sys.exit(f"there is a child: {os.waitpid(pid, 0)}")
                except ChildProcessError: open(sys.argv[2] + "/ends", "a").write("right\\n")
                """
            let scratch = try Scratch()
            let root = try scratch.start(["/usr/bin/python3", "-c", program, Host.path(of: "crcheckpoint"), scratch.path, way])
            #expect(try root.wait(seconds: 60) == .exited(0), "\(root.errors)")
            try #require(scratch.becomesEmpty())
            for place in Place.allCases {
                let restarted = try scratch.restart(place)
                #expect(try restarted.command.wait(seconds: 60) == .exited(0), "\(place): \(restarted.command.errors)")
                #expect(scratch.becomesEmpty())
            }
            #expect(scratch.read("ends") == "right\nright\nright\n")
        }

        /// Typed at the terminal of a shell with job control; the copy has another terminal.
        @Test(arguments: ["bash", "dash"], ["--pidns", "--no-pidns"]) func typed(shell: String, option: String) throws {
            let scratch = try Scratch()
            let binaries = URL(fileURLWithPath: Host.path(of: "crrestart")).deletingLastPathComponent().path
            try scratch.run(["/usr/bin/python3", Host.programs + "/selfterminal.py", binaries, scratch.path, shell, option]).require()
        }

        /// The whole tree ends, and the command after it. Its image is that of a tree that goes on.
        @Test func killed() throws {
            let scratch = try Scratch()
            try scratch.write("script", Array("D=\(scratch.path)\nC=\"\(Self.command) --kill\"\nsleep 1000 & $C > $D/out; s=$?\necho $s > $D/statuses; kill %1; exit $s\n".utf8))
            let root = try scratch.start(["bash", scratch.file("script")])
            let status = try root.wait(seconds: 60)
            #expect(status == .signaled(SIGKILL))
            try #require(scratch.becomesEmpty())
            #expect(!scratch.exists("statuses") && scratch.read("out").contains("2 tasks"), "\(scratch.read("out"))")
            let restarted = try scratch.restart(.namespace)
            #expect(try restarted.command.wait(seconds: 60) == .exited(75))
            #expect(scratch.read("statuses") == "75\n")
            #expect(scratch.becomesEmpty())
        }

        /// What cannot be done from inside is refused before anything is stopped, and the tree goes on.
        @Test func refused() throws {
            let scratch = try Scratch()
            let save = Host.path(of: "crcheckpoint")
            func run(_ script: String, _ words: String) throws {
                let done = try scratch.run(["bash", "-c", script])
                #expect(done.output.hasSuffix("1\n") && done.errors.contains(words), "\(script): \(done.output)\(done.errors)")
            }
            try run("\(save) --tree $$ -o - | cat > /dev/null; echo ${PIPESTATUS[0]}", "EDEADLK (the image would go into a pipe that")
            try run("(sleep 100 & echo $! > \(scratch.file("pid")); exec \(save) --tree $$ -o \(scratch.file("image"))); s=$?; kill $(cat \(scratch.file("pid"))); echo $s", "has become the parent of")
            try run("sh -c 'exec \(save) --tree $$ -o \(scratch.file("image"))'; echo $?", "it is crcheckpoint itself")
            #expect(!scratch.exists("image"))
            // Without an image there is no reader.
            try run("\(save) --tree $$ --dry-run 2>&1 | cat >&2; echo $((${PIPESTATUS[0]} + 1))", "nothing in the tree stands in the way")
        }

        /// The shell has the read end of a pipe at 5, the command the write end. That end closes with the command, unless a process outside
        /// of the tree has it, too.
        @Test(arguments: [false, true]) func pipeToTheCommand(isShared: Bool) throws {
            let scratch = try Scratch()
            let script = """
                D=$1 R=$2 W=$3; mkfifo $D/go
                (read x < $D/go; exec \(Host.path(of: "crcheckpoint")) --tree $$ -o $D/image >&$W) & child=$!
                eval "exec 5<&$R $R<&- $W>&-"
                echo > $D/go; wait $child; s=$?; echo $s >> $D/statuses
                cat <&5 > $D/rest & [ $s != 4 ] && wait $!
                exit $s
                """
            let outer = """
                import os, subprocess, sys
                r, w = os.pipe()
                script = ["bash", "-c", sys.argv[1], "bash", sys.argv[2], str(r), str(w)]
                child = subprocess.Popen(script, pass_fds=(r, w), stdin=subprocess.DEVNULL)
                os.close(r)
                if sys.argv[3] != "true": os.close(w)
                sys.exit(child.wait())
                """
            let both = try scratch.start(["/usr/bin/python3", "-c", outer, script, scratch.path, "\(isShared)"])
            let status = try both.wait(seconds: 60)
            #expect(scratch.read("statuses") == (isShared ? "4\n" : "0\n"), "\(status) \(both.errors)")
            if isShared {
                #expect(both.errors.contains("is the read end of a pipe whose other end is outside of the tree"), "\(both.errors)")
                return
            }
            try #require(scratch.becomesEmpty())
            let restarted = try scratch.restart(.namespace)
            #expect(try restarted.command.wait(seconds: 60) == .exited(75), "\(restarted.command.errors)")
            #expect(scratch.read("statuses") == "0\n75\n" && scratch.read("rest").isEmpty, "\(scratch.read("rest"))")
        }
    }
}
