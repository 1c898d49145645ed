import CKernel
import Glibc
import LinuxABI
import Testing

@testable import Kernel

/// A child that answers, one that dies, one that takes too long. (The bodies make system calls only: this process has threads.)
@Suite struct ForkedQuestionTests {
    private var soon: Int64 { SystemClock.monotonic.now() + 60_000_000_000 }

    @Test func answers() throws {
        let question = try ForkedQuestion(at: .forkCheck) { [1, 2, 3] }
        #expect(question.answer(until: soon) == .bytes([1, 2, 3]))
    }

    @Test func diesOfAFault() throws {
        let question = try ForkedQuestion(at: .forkCheck) {
            _ = ckernel_syscall(Int(SYS_kill), Int(getpid()), Int(SIGILL), 0, 0, 0, 0)
            return []
        }
        #expect(question.answer(until: soon) == .ended(.killed(signal: SIGILL)))
    }

    @Test func saysNothing() throws {
        let question = try ForkedQuestion(at: .forkCheck) { [] }
        #expect(question.answer(until: soon) == .ended(.exited(0)))
    }

    /// The second part begins with the word, and never if the question is dropped.
    @Test func hasTwoParts() throws {
        let seen = try DescriptorTable.pipe()
        defer { DescriptorTable.close(seen.read) }
        func ask() throws -> ForkedQuestion {
            try ForkedQuestion(at: .forkCheck, inTwoParts: { awaitWord in
                Channel.send([1], over: seen.write)
                return awaitWord() ? [2] : [3]
            })
        }
        let question = try ask()
        #expect(Channel.awaitByte(seen.read) && question.answer(until: SystemClock.monotonic.now() + 20_000_000) == .late)
        question.goOn()
        question.goOn()
        #expect(question.answer(until: soon) == .bytes([2]))
        var dropped: ForkedQuestion? = try ask()
        #expect(dropped != nil && Channel.awaitByte(seen.read))
        dropped = nil
        DescriptorTable.close(seen.write)
        #expect(!Channel.awaitByte(seen.read), "the child of a dropped question lives")
    }

    @Test func takesTooLong() throws {
        let question = try ForkedQuestion(at: .forkCheck) {
            while true { _ = ckernel_syscall(Int(SYS_pause), 0, 0, 0, 0, 0, 0) }
        }
        #expect(question.answer(until: SystemClock.monotonic.now()) == .late)
    }

    @Test func lines() throws {
        let ends = try DescriptorTable.pipe()
        Channel.send(Array("restarted\nmore".utf8), over: ends.write)
        #expect(Channel.line(ends.read, until: soon) == .text(Array("restarted".utf8)))
        #expect(Channel.line(ends.read, until: SystemClock.monotonic.now()) == .late)
        DescriptorTable.close(ends.write)
        #expect(Channel.line(ends.read, until: soon) == .closed)
        DescriptorTable.close(ends.read)
    }

    @Test func handlesTellTheLiving() throws {
        let child = try Child.spawn(["/bin/sleep", "60"])
        defer { Child.end(child) }
        let handles = try ProcessHandles([getpid(), child])
        #expect(handles.living(among: [0, 1], waiting: 0) == [0, 1])
        #expect(throws: Never.self) { try handles.send(0, to: 1) }
        try handles.send(SIGKILL, to: 1)
        var living = [0, 1]
        for _ in 0..<2000 where living.count > 1 { living = handles.living(among: living, waiting: 5) }
        // It has ended, though nobody has waited for it.
        #expect(living == [0])
    }
}
