import Foundation
import Testing

extension EndToEnd {
    /// crrestart waits for nothing without looking at signals, and gives up on a step that does not end.
    @Suite struct Deadlines {
        /// Sends SIGTERM when the command waits in poll(2), and expects that it ends with nothing left.
        ///
        /// - Parameter writer: what the command reads from; it is ended, too.
        private func expectInterruptible(
            _ command: Child, _ scratch: Scratch, writer: Child? = nil, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            // Number 7: poll.
            let waits = Clock.wait(seconds: 20) { ProcessTable.systemCall(of: command.pid) == 7 || command.poll() != nil }
            #expect(waits, sourceLocation: sourceLocation)
            command.signal(SIGTERM)
            let status = try command.wait(seconds: 20)
            #expect(
                status == .exited(1) && command.errors.contains("cannot restart: EINTR (interrupted; nothing is left)"),
                "\(status): \(command.errors)", sourceLocation: sourceLocation)
            writer?.end()
            #expect(scratch.becomesEmpty(), sourceLocation: sourceLocation)
        }

        @Test func namedPipeWithoutWriter() throws {
            let scratch = try Scratch()
            try scratch.run(["mkfifo", scratch.file("fifo")]).require()
            try expectInterruptible(scratch.start("crrestart", [scratch.file("fifo")]), scratch)
        }

        /// The beginning of an image comes, and then nothing more: before and after the tree has been made.
        @Test func writerThatFallsSilent() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("anon", ["8"])
            try scratch.checkpointAndKill(child.pid, of: child)
            try scratch.run(["mkfifo", scratch.file("fifo")]).require()
            let size = scratch.bytes("image").count
            for part in [0, 100, 5000, size / 2, size - 10] {
                let writer = try scratch.start([
                    "bash", "-c", "exec 5> \(scratch.file("fifo")); head -c \(part) \(scratch.file("image")) >&5; echo > \(scratch.file("written")); exec sleep 1000",
                ])
                let command = try scratch.start("crrestart", ["--pidns", scratch.file("fifo")])
                #expect(Clock.wait(seconds: 20) { scratch.exists("written") })
                scratch.remove("written")
                try expectInterruptible(command, scratch, writer: writer)
            }
        }

        /// open(2) of a file with a lease would wait until the holder gives it up, which this one does not.
        @Test(arguments: Place.allCases) func fileWithALease(place: Place) throws {
            let scratch = try Scratch()
            try scratch.write("log", Array("text".utf8))
            let child = try scratch.start(["bash", "-c", "exec 7>>\(scratch.file("log")); exec sleep 1000"])
            #expect(Clock.wait(seconds: 20) { ProcessEntry(child.pid)?.command == "sleep" })
            try scratch.checkpointAndKill(child.pid, of: child)
            let script = """
                import fcntl, os, signal, sys
                signal.signal(signal.SIGIO, signal.SIG_IGN)
                file = os.open(sys.argv[1], os.O_RDWR)
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                open(sys.argv[2], "w").close()
                signal.pause()
                """
            let holder = try scratch.start(["python3", "-c", script, scratch.file("log"), scratch.file("leased")])
            try #require(Clock.wait(seconds: 20) { scratch.exists("leased") || holder.poll() != nil })
            let failed = try scratch.run("crrestart", place.options + [scratch.file("image")]).expect(1)
            #expect(failed.errors.contains("EAGAIN at step ") && failed.errors.contains(scratch.file("log")), "\(failed.errors)")
            holder.end()
            #expect(scratch.becomesEmpty())
        }
    }
}
