import ArchState
import CheckpointImage
import Kernel
import Testing

@testable import TreeCapture

/// Recorded sights: see `Sights`.
enum Recordings {
    /// A shell, a pipeline of two commands (`sleep 1000 | cat`), and a program whose child is dead and not waited for.
    static func pipeline() throws -> Recording { try load("pipeline") }
    /// A program of three threads, of which one has directories and one a descriptor table of its own, with a descriptor of
    /// every kind.
    static func files() throws -> Recording { try load("files") }
    /// unshare(1) and a shell that is the init of a pid namespace, with a `/proc` of its own.
    static func namespace() throws -> Recording { try load("namespace") }

    private static func load(_ name: String) throws -> Recording {
        let directory = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        var recording = try Recording(json: try readFile("\(directory)/Sights/\(name).json"))
        // Checked in without the state of vector registers, which is long: here in its initial state.
        var state = [UInt8](repeating: 0, count: 576)
        (state[24], state[25]) = (0x80, 0x1f)
        for index in recording.answers?.threads.indices ?? 0..<0 { recording.answers?.threads[index].extendedState = RawText(state) }
        return recording
    }
}

extension Recording {
    func recorded() -> Recorded { Recorder.records(sight, answers, memory) }

    /// The index of the open file under a number of the first table.
    func file(_ number: Int32) throws -> Int {
        try #require(sight.tables[0].descriptors.first { $0.number == number }).file - 1
    }
}

extension Recorded {
    /// What a reader of the image would find wrong.
    func validated() throws -> CheckpointImage { try CheckpointImage(validating: records) }

    func process(_ command: String) throws -> ImageProcess {
        try #require(records.processes.first { $0.command.asText == command })
    }

    func threads(of process: ImageProcess) -> [ImageThread] { records.threads.filter { $0.process == process.pid } }

    /// The object under a descriptor of the first table.
    func object(_ number: UInt32) throws -> ImageOpenFile.OneOf_Object {
        let descriptor = try #require(records.fileTables[0].descriptors.first { $0.number == number })
        let file = try #require(records.openFiles.first { $0.id == descriptor.file })
        return try #require(file.object)
    }
}
