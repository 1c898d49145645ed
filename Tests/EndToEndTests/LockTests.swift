import Foundation
import Testing

extension EndToEnd {
    /// Locks of files, as programs use them.
    @Suite struct Locks {
        /// While a killed tree is a file its locks are free. Another program that takes one is found before anything is created,
        /// and nothing of the tree runs.
        @Test(arguments: ["flock", "lockf", "ofd"], Place.allCases)
        func takenMeanwhile(kind: String, place: Place) throws {
            let scratch = try Scratch()
            try scratch.write("lock.py", Array(Self.locker.utf8))
            let child = try scratch.start(["python3", scratch.file("lock.py"), kind, scratch.file("lock"), scratch.file("held")])
            try #require(Clock.wait(seconds: 20) { scratch.exists("held") }, "\(child.errors)")
            try scratch.checkpointAndKill(child.pid, of: child)
            let other = try scratch.start(["python3", scratch.file("lock.py"), kind, scratch.file("lock"), scratch.file("held2")])
            try #require(Clock.wait(seconds: 20) { scratch.exists("held2") }, "\(other.errors)")
            let refused = try scratch.run("crrestart", place.options + [scratch.file("image")]).expect(3)
            #expect(
                refused.errorLines.contains { $0.contains("\(scratch.file("lock")): is locked by ") && $0.contains("fd 7 had an exclusive lock (") },
                "\(refused.errors)")
            #expect(scratch.living().map(\.pid) == [other.pid])
            other.end()
            let (command, root) = try scratch.restart(place)
            let third = try scratch.run(["python3", scratch.file("lock.py"), kind, scratch.file("lock"), scratch.file("held3"), "try"])
            #expect(third.status == .exited(9) && !scratch.exists("held3"), "\(third.errors)")
            kill(root, SIGTERM)
            _ = try command.wait(seconds: 20)
            try scratch.run(["python3", scratch.file("lock.py"), kind, scratch.file("lock"), scratch.file("held4"), "try"]).expect(0)
        }

        private static let locker = """
            import fcntl, os, signal, struct, sys
            kind, path, held = sys.argv[1:4]
            fd = os.open(path, os.O_RDWR | os.O_CREAT)
            os.dup2(fd, 7)
            os.close(fd)
            try:
                if kind == "flock": fcntl.flock(7, fcntl.LOCK_EX | fcntl.LOCK_NB)
                elif kind == "lockf": fcntl.lockf(7, fcntl.LOCK_EX | fcntl.LOCK_NB)
                else: fcntl.fcntl(7, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            except OSError: sys.exit(9)
            open(held, "w").close()
            if len(sys.argv) == 4: signal.pause()
            """

        /// flock(1) in a script, and a second one that waits for it: it gets its turn when the first is done, not before.
        @Test(arguments: Place.allCases) func commandThatWaits(place: Place) throws {
            let scratch = try Scratch()
            let lock = scratch.file("lock")
            let script = """
                flock \(lock) bash -c 'touch \(scratch.file("held")); while ! [ -e \(scratch.file("go")) ]; do sleep 0.05; done; echo first >> \(scratch.file("log"))' &
                while ! [ -e \(scratch.file("held")) ]; do sleep 0.05; done
                flock \(lock) bash -c 'echo second >> \(scratch.file("log"))' &
                wait; wait
                echo end >> \(scratch.file("log"))
                """
            var running = try scratch.start(["bash", "-c", script])
            var root = running.pid
            try #require(Clock.wait(seconds: 20) { ProcessTable.tree(of: root).count { $0.command == "flock" } == 2 }, "\(running.errors)")
            for _ in 0..<2 {
                Clock.sleep(0.2)
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
            }
            Clock.sleep(0.3)
            #expect(!scratch.exists("log"), "\(scratch.read("log"))")
            try scratch.write("go")
            #expect(try running.wait(seconds: 30) == .exited(0))
            #expect(scratch.read("log") == "first\nsecond\nend\n")
        }

        /// SQLite in WAL mode: a writer and readers, which lock bytes of the shared memory beside the database. No reader ever sees
        /// half a transaction, and the writer loses none.
        @Test(arguments: Place.allCases) func databaseInUse(place: Place) throws {
            let scratch = try Scratch()
            try scratch.write("wal.py", Array(Self.database.utf8))
            var running = try scratch.start(["python3", scratch.file("wal.py"), scratch.path])
            var root = running.pid
            func count() -> Int { Int(scratch.read("count").trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0 }
            try #require(Clock.wait(seconds: 30) { count() > 20 }, "\(running.errors)")
            for _ in 0..<3 {
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
                let before = count()
                #expect(Clock.wait(seconds: 30) { count() > before + 20 || running.poll() != nil }, "\(running.errors)")
            }
            try scratch.write("finish")
            #expect(try running.wait(seconds: 60) == .exited(0), "\(running.errors)\(scratch.read("wrong"))")
            #expect(scratch.read("verdict").hasPrefix("ok "), "\(scratch.read("verdict"))")
        }

        private static let database = """
            import os, sqlite3, sys, time
            folder = sys.argv[1]
            base, finish = folder + "/base", folder + "/finish"
            def connect():
                link = sqlite3.connect(base, timeout=30, isolation_level=None)
                link.execute("pragma journal_mode=wal")
                return link
            link = connect()
            link.execute("create table t (side integer, n integer)")
            link.execute("insert into t values (0, 0), (1, 0)")
            link.close()
            readers = []
            for _ in range(3):
                pid = os.fork()
                if pid == 0:
                    link = connect()
                    while not os.path.exists(finish):
                        left, right = link.execute("select (select n from t where side = 0), (select n from t where side = 1)").fetchone()
                        if left != right:
                            open(folder + "/wrong", "a").write("%d %d\\n" % (left, right))
                            os._exit(1)
                        time.sleep(0.001)
                    os._exit(0)
                readers.append(pid)
            link = connect()
            count = 0
            while not os.path.exists(finish):
                link.execute("begin immediate")
                link.execute("update t set n = n + 1 where side = 0")
                link.execute("update t set n = n + 1 where side = 1")
                link.execute("commit")
                count += 1
                open(folder + "/count.new", "w").write(str(count))
                os.rename(folder + "/count.new", folder + "/count")
            for _ in readers:
                if os.wait()[1] != 0: sys.exit(2)
            total = link.execute("select sum(n) from t").fetchone()[0]
            check = link.execute("pragma integrity_check").fetchone()[0]
            open(folder + "/verdict", "w").write("%s %d" % (check if total == 2 * count else "lost", count))
            """
    }
}
