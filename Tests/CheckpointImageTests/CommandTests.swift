import CheckpointImage
import Foundation
import Testing

/// The built `crimage` on the sample image.
@Suite struct CommandTests {
    struct Outcome: Equatable {
        var status: Int32
        var output: String
        var errors: String
    }

    /// Runs `crimage`, which lies beside the tests.
    static func crimage(_ arguments: [String], stdin: [UInt8]? = nil) throws -> Outcome {
        let process = Process()
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let beside = [Bundle.allBundles.map(\.bundlePath), [tests, CommandLine.arguments[0]]].joined()
            .map { URL(fileURLWithPath: $0).deletingLastPathComponent().appendingPathComponent("crimage") }
        let built = beside.first { FileManager.default.isExecutableFile(atPath: $0.path) }
        process.executableURL = built
        process.arguments = arguments
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        var input: URL?
        if let stdin {
            // A pipe, not the file itself: `cat` stands between.
            let file = try Self.file(stdin)
            input = file
            let cat = Process()
            cat.executableURL = URL(fileURLWithPath: "/bin/cat")
            cat.arguments = [file.path]
            let pipe = Pipe()
            cat.standardOutput = pipe
            process.standardInput = pipe
            try cat.run()
        } else {
            process.standardInput = FileHandle.nullDevice
        }
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let complaints = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if let input { try FileManager.default.removeItem(at: input) }
        return Outcome(status: process.terminationStatus, output: text, errors: complaints)
    }

    static func file(_ bytes: [UInt8]) throws -> URL {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent(
            "sample-\(UUID().uuidString).img")
        try Data(bytes).write(to: url)
        return url
    }

    /// Runs a subcommand on the same bytes as a file and as a pipe; both print the same.
    func run(_ subcommand: String, _ bytes: [UInt8]) throws -> Outcome {
        let url = try Self.file(bytes)
        defer { try? FileManager.default.removeItem(at: url) }
        var byFile = try Self.crimage([subcommand, url.path])
        byFile.output = byFile.output.replacingOccurrences(of: url.path, with: "stdin")
        byFile.errors = byFile.errors.replacingOccurrences(of: url.path, with: "on stdin")
        let byPipe = try Self.crimage([subcommand, "-"], stdin: bytes)
        #expect(byFile == byPipe)
        return byFile
    }

    @Test func tree() throws {
        let expected = """
            10 sh -c true  (2 threads, 12.0 KiB, session leader, shares descriptors with 12)
            └─ 12 sh -c true  (1 thread, 12.0 KiB, shares descriptors with 10)
               └─ 13 [true]  (zombie, signal 9)

            """
        #expect(try run("tree", Sample.image()) == Outcome(status: 0, output: expected, errors: ""))
    }

    @Test func info() throws {
        let outcome = try run("info", Sample.image())
        #expect(outcome.status == 0)
        for line in [
            "image           stdin", "taken           2023-11-14 22:13:20 UTC",
            "root            10 sh -c true",
            "processes       3 (1 zombie)", "threads         3",
            "memory          28.0 KiB saved of 2 address spaces and 1 memory object",
            "pipes           2 (11 B in flight)",
        ] { #expect(outcome.output.contains(line + "\n"), "\(line)\n\(outcome.output)") }
    }

    @Test func files() throws {
        let expected = """
            file table 1 of 10 sh, 12 sh
              fd  open file  mode  offset  what
               0          1  read       0  /dev/pts/3, outside of the tree: becomes fd 0 of crrestart
               1          2  read       0  /tmp/log
               3          3  read       0  read end of pipe 1, 9 bytes in flight
               4          4  read       0  memory object 1 /dev/zero

            """
        #expect(try run("files", Sample.image()) == Outcome(status: 0, output: expected, errors: ""))
    }

    @Test func memory() throws {
        let expected = """
            address space 1 of 10 sh: 28.0 KiB mapped, 12.0 KiB saved
              address                size  mode    saved  what
              0x400000-0x404000  16.0 KiB  rw-p  8.0 KiB
              0x404000-0x405000   4.0 KiB  rw-p  4.0 KiB  /bin/sh @0x0
              0x410000-0x412000   8.0 KiB  rw-s        -  memory object 1 @0x0
            """
        let outcome = try run("memory", Sample.image())
        let lines = outcome.output.split(separator: "\n").map(String.init)
        #expect(lines.prefix(5).joined(separator: "\n") == expected)
        #expect(lines.last == "memory object 1 /dev/zero: 8.0 KiB, 4.0 KiB saved")
    }

    @Test func json() throws {
        let outcome = try run("json", Sample.image())
        let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
        let processes = try #require(object?["processes"] as? [[String: Any]])
        #expect(processes.count == 3)
        let threads = try #require(object?["threads"] as? [[String: Any]])
        #expect(threads[2]["address_space"] as? Int == 2 && threads[2]["directories"] as? Int == 2)
        let files = try #require(object?["open_files"] as? [[String: Any]])
        #expect((files[4]["event"] as? [String: Any])?["count"] as? String == "3")
        for (list, count) in [("directories", 2), ("signal_actions", 2), ("namespaces", 1)] {
            #expect((object?[list] as? [Any])?.count == count, "\(list)")
        }
        #expect((object?["page_sections"] as? [Any])?.count == 3)
    }

    @Test func verify() throws {
        let bytes = try Sample.image()
        #expect(
            try run("verify", bytes)
                == Outcome(
                    status: 0, output: "good: 28.0 KiB of pages and all records are as they were written\n",
                    errors: ""))
        var damaged = bytes
        let sections = try CheckpointImage(reading: ByteSource(bytes)).pageSections
        damaged[Int(sections[0].offset)] ^= 1
        damaged[Int(sections[2].offset)] ^= 1
        let outcome = try run("verify", damaged)
        #expect(outcome.status == 2 && outcome.output.isEmpty)
        #expect(outcome.errors.split(separator: "\n").count == 2)
        #expect(
            outcome.errors.hasPrefix("crimage: cannot read image on stdin: the 256 KiB of page data at 0x"))
    }

    @Test(arguments: ["info", "tree", "threads", "files", "memory", "verify", "json"]) func badInput(subcommand: String)
        throws
    {
        for (path, sentence) in [
            ("/proc/self/maps", "it is not a checkpoint image"), ("/tmp", "it is a directory"),
            ("/dev/null", "it is empty"),
        ] {
            let outcome = try Self.crimage([subcommand, path])
            #expect(outcome.status == 2 && outcome.output.isEmpty)
            #expect(outcome.errors.hasPrefix("crimage: cannot read image \(path): \(sentence) ("))
        }
        let missing = try Self.crimage([subcommand, "/nowhere"])
        #expect(
            missing
                == Outcome(
                    status: 1, output: "",
                    errors: "crimage: cannot open image /nowhere: ENOENT (no such file)\n"))
        #expect(try Self.crimage([subcommand]).status == 64)
        let cut = try run(subcommand, Array(try Sample.image().dropLast(3)))
        #expect(cut.status == 2)
    }

    /// Names in an image are not to be obeyed by a terminal.
    @Test func hostileNames() throws {
        var records = Sample.records()
        records.processes[2].command = Data("\u{1b}[2Jx\n".utf8)
        let outcome = try run("tree", Sample.image(records))
        #expect(outcome.output.contains("13 [\\e[2Jx\\n]  (zombie"))
    }
}
