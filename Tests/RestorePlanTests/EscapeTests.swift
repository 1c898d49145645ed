import CheckpointImage
import Testing

@testable import RestorePlan

/// Words of an image reach the terminal without what would steer it.
@Suite struct EscapeTests {
    private static let word = "6.1\u{1b}[2J\u{9b}\n"

    private func isHarmless(_ text: String) -> Bool { text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) } }

    @Test func findings() throws {
        var sample = Sample()
        sample.records.header.architecture = Self.word
        let lines = try sample.findings()
        #expect(lines.contains { $0.contains("6.1") } && lines.allSatisfy(isHarmless))
    }

    @Test func planLines() throws {
        var sample = Sample()
        sample.records.header.kernelRelease = Self.word
        sample.records.processes[0].command = [UInt8](Self.word.utf8).asData
        sample.records.threads[0].name = [UInt8](Self.word.utf8).asData
        let lines = RestorePlan(for: try sample.valid()).lines()
        #expect(lines.contains { $0.contains("6.1") } && lines.allSatisfy(isHarmless))
    }

    @Test func errors() {
        let error = ImageError(.failedCheckpoint(Self.word, status: 1))
        #expect(isHarmless(error.sentence(image: Self.word)))
    }
}
