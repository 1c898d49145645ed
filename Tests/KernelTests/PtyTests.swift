import CKernel
import Glibc
import LinuxABI
import Testing

@testable import Kernel

/// What waits in a pty: its form, and the way into a real one and out of it. (Not in a forked child: this process has threads.)
@Suite struct PtyTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func formOfContents() {
        let all = [
            Pty.Contents(), Pty.Contents(input: [1, 2], lineEnds: [0, 2, 2], output: [3], held: .call), Pty.Contents(held: .key),
            Pty.Contents(input: [UInt8](repeating: 7, count: 70_000), output: [0]),
        ]
        for contents in all { #expect(Pty.Contents(bytes: contents.bytes) == contents) }
        #expect(Pty.Contents(bytes: [5]) == nil)
        #expect(Pty.Contents(bytes: [3, 0, 0, 0, 0, 0, 0, 0, 0]) == nil)
        // Longer than the bytes that are there.
        #expect(Pty.Contents(bytes: [0, 0, 0, 0, 0, 9, 0, 0, 0, 1]) == nil)
        #expect(Pty.Contents(bytes: [0, 255, 255, 255, 255, 0, 0, 0, 0]) == nil)
    }

    @Test func linesAreTypedAgain() {
        let lines = Pty.Contents(input: bytes("ab\nc\u{4}d\u{16}"), lineEnds: [5, 5]).typed(lines: true)
        // `c`, a literal Ctrl-D, its line ended by one; an empty line ended by one; a line that is not finished.
        #expect(lines.taken == bytes("ab\nc\u{16}\u{4}\u{4}\u{4}d\u{16}\u{16}"))
        #expect(lines.counted == 5 && lines.isUnfinished && lines.late.isEmpty)
        let raw = Pty.Contents(input: bytes("c\u{4}\n")).typed(lines: false)
        #expect(raw.taken == bytes("c\u{4}\n") && raw.counted == 3 && !raw.isUnfinished)
    }

    /// The kernel has taken 4095 characters, ends of lines among them; others come later, as they were typed.
    @Test func whatTheKernelHasNotTaken() {
        let all = [UInt8](repeating: 4, count: 5000)
        let lines = Pty.Contents(input: all, lineEnds: [10]).typed(lines: true)
        #expect(lines.taken.count == 4094 * 2 + 1 && lines.late.count == 5000 - 4094)
        #expect(Pty.Contents(input: all).typed(lines: false).late.count == 5000 - 4095)
    }

    /// A pty with odd settings.
    private func open(canonical: Bool) throws -> (Int32, Int32, TerminalSettings) {
        let master = try Pty.open().release()
        let slave = try Pty.openSlave(of: master, nonBlocking: true).release()
        var settings = try #require(TerminalSettings(try TerminalControl.settings(slave)))
        settings = canonical ? settings : settings.transparent
        settings.input |= TerminalFlags.IXON
        try TerminalControl.set(slave, settings: settings.bytes)
        return (master, slave, settings)
    }

    @Test(arguments: [true, false], [Pty.Hold.none, .key, .call])
    func takenAndPutBack(canonical: Bool, held: Pty.Hold) throws {
        let (master, slave, settings) = try open(canonical: canonical)
        defer { for number in [master, slave] { DescriptorTable.close(number) } }
        let contents = Pty.Contents(
            input: bytes("one\ntwo\u{13}\u{3}\u{7f}"), lineEnds: canonical ? [4, 7] : [], output: bytes("shown\r\n"), held: held)
        try Pty.put(contents, into: master, slave, settings)
        // A look changes nothing, however often.
        for _ in 0..<3 { #expect(try Pty.takeAndPutBack(master) == contents) }
        #expect(try TerminalControl.settings(slave) == settings.bytes)
        #expect((Pty.events(of: slave, POLLOUT) & POLLOUT == 0) == (held != .none))
        #expect(try readBytes(master, upTo: 100, at: nil) == contents.output)
        #expect(try readBytes(slave, upTo: 100, at: nil) == (canonical ? bytes("one\n") : contents.input))
        if canonical {
            #expect(try readBytes(slave, upTo: 100, at: nil) == [])
            #expect(try readBytes(slave, upTo: 100, at: nil) == bytes("two"))
            // The rest is no line yet.
            #expect(throws: SystemError.self) { try readBytes(slave, upTo: 100, at: nil) }
        }
    }

    @Test func fullOnesLoseNothing() throws {
        let (master, slave, settings) = try open(canonical: false)
        defer { for number in [master, slave] { DescriptorTable.close(number) } }
        let many = (0..<19_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
        let contents = Pty.Contents(input: many, output: many.reversed())
        try Pty.put(contents, into: master, slave, settings.transparent)
        #expect(try Pty.takeAndPutBack(master) == contents)
        #expect(try Pty.takeAndPutBack(master) == contents)
    }

    @Test func settings() throws {
        var settings = try #require(TerminalSettings([UInt8](repeating: 0xff, count: 44)))
        #expect(settings.isCanonical && !settings.givesLines)
        settings.local &= ~TerminalFlags.EXTPROC
        #expect(settings.givesLines && settings.plainLines.givesLines && !settings.transparent.givesLines && !settings.raw.givesLines)
        #expect(settings.plainLines.input & TerminalFlags.IXON == 0 && settings.plainLines.withFlowControl(stop: 19).input & TerminalFlags.IXON != 0)
        #expect(settings.plainLines.bytes[17..<36].allSatisfy { $0 == 0 })
        #expect(settings.typedLines.bytes[17..<36].filter { $0 != 0 } == [4, 22])
        #expect(TerminalSettings([UInt8](repeating: 0, count: 43)) == nil)
    }
}
