import LinuxABI
import Testing

@testable import ArchState

/// Filters of seccomp(2): which programs are taken, and what they answer.
@Suite struct SeccompFilterTests {
    typealias B = ClassicBPF
    private static let native = AuditArchitecture.AUDIT_ARCH_X86_64
    private static let allow = SeccompAction.SECCOMP_RET_ALLOW
    private static let kill = SeccompAction.SECCOMP_RET_KILL_PROCESS

    /// `struct sock_filter`: code, jump if true, jump if false, constant.
    struct Line: Sendable {
        var code: UInt16
        var yes: UInt8 = 0
        var no: UInt8 = 0
        var constant: UInt32 = 0

        init(_ code: UInt16, _ constant: UInt32 = 0, _ yes: UInt8 = 0, _ no: UInt8 = 0) {
            (self.code, self.constant, self.yes, self.no) = (code, constant, yes, no)
        }
    }

    static func bytes(_ lines: [Line]) -> [UInt8] {
        lines.flatMap { line in
            [UInt8(line.code & 0xff), UInt8(line.code >> 8), line.yes, line.no] + (0..<4).map { UInt8(truncatingIfNeeded: line.constant >> ($0 * 8)) }
        }
    }

    private static func filter(_ lines: [Line]) throws -> SeccompFilter { try #require(SeccompFilter(bytes(lines))) }
    private static let load = B.BPF_LD | B.BPF_ABS
    private static let give = B.BPF_RET | B.BPF_A

    private func answer(_ lines: [Line], _ call: SeccompFilter.Call = .init(39, on: native)) throws -> UInt32 {
        try Self.filter(lines + [Line(Self.give)]).answer(to: call)
    }

    @Test func everyWordOfTheData() throws {
        var call = SeccompFilter.Call(0x1122_3344, on: Self.native, (0..<6).map { UInt64(0xa000_0000_b000_0000) + $0 })
        call.instructionPointer = 0x7fff_1234_5678_9abc
        let words = try (0..<16).map { try answer([Line(Self.load, $0 * 4)], call) }
        #expect(words[0...3] == [0x1122_3344, Self.native, 0x5678_9abc, 0x7fff_1234])
        for index in 0..<6 {
            #expect(words[4 + 2 * index] == 0xb000_0000 + UInt32(index) && words[5 + 2 * index] == 0xa000_0000)
        }
        #expect(SeccompFilter.Call(1, on: 2, [1]).arguments.count == 6)
    }

    @Test func arithmetic() throws {
        func compute(_ operation: UInt16, _ first: UInt32, _ second: UInt32) throws -> [UInt32] {
            [
                try answer([Line(B.BPF_LD | B.BPF_IMM, first), Line(B.BPF_ALU | operation, second)]),
                try answer([Line(B.BPF_LDX | B.BPF_IMM, second), Line(B.BPF_LD | B.BPF_IMM, first), Line(B.BPF_ALU | operation | B.BPF_X)]),
            ]
        }
        let cases: [(UInt16, UInt32, UInt32, UInt32)] = [
            (B.BPF_ADD, .max, 2, 1), (B.BPF_SUB, 1, 2, .max), (B.BPF_MUL, 0x8000_0001, 2, 2), (B.BPF_DIV, 7, 2, 3), (B.BPF_AND, 6, 3, 2),
            (B.BPF_OR, 6, 3, 7), (B.BPF_XOR, 6, 3, 5), (B.BPF_LSH, 3, 31, 0x8000_0000), (B.BPF_RSH, 0x8000_0000, 31, 1),
        ]
        for (operation, first, second, result) in cases { #expect(try compute(operation, first, second) == [result, result], "\(operation)") }
        #expect(try answer([Line(B.BPF_LD | B.BPF_IMM, 1), Line(B.BPF_ALU | B.BPF_NEG)]) == .max)
        // By the index register: 0 ends the program, shifts are cut to five bits.
        #expect(try answer([Line(B.BPF_LD | B.BPF_IMM, 1), Line(B.BPF_ALU | B.BPF_DIV | B.BPF_X), Line(B.BPF_LD | B.BPF_IMM, 9)]) == 0)
        let shift = [Line(B.BPF_LDX | B.BPF_IMM, 33), Line(B.BPF_LD | B.BPF_IMM, 1), Line(B.BPF_ALU | B.BPF_LSH | B.BPF_X)]
        #expect(try answer(shift) == 2)
    }

    @Test func memoryAndCopies() throws {
        let steps = [
            Line(B.BPF_LD | B.BPF_IMM, 5), Line(B.BPF_ST, 15), Line(B.BPF_LDX | B.BPF_IMM, 6), Line(B.BPF_STX, 0), Line(B.BPF_LD | B.BPF_MEM, 0),
            Line(B.BPF_LDX | B.BPF_MEM, 15), Line(B.BPF_ALU | B.BPF_SUB | B.BPF_X), Line(B.BPF_MISC | B.BPF_TAX), Line(B.BPF_LD | B.BPF_LEN),
            Line(B.BPF_ALU | B.BPF_ADD | B.BPF_X), Line(B.BPF_ST, 3), Line(B.BPF_LDX | B.BPF_LEN), Line(B.BPF_MISC | B.BPF_TXA),
            Line(B.BPF_LDX | B.BPF_MEM, 3), Line(B.BPF_ALU | B.BPF_ADD | B.BPF_X),
        ]
        #expect(try answer(steps) == 64 + 65)
    }

    @Test func jumps() throws {
        func branch(_ condition: UInt16, _ value: UInt32, _ operand: UInt32) throws -> [Bool] {
            let ends = [Line(B.BPF_RET, 1), Line(B.BPF_RET, 2)]
            let constant = [Line(B.BPF_LD | B.BPF_IMM, value), Line(B.BPF_JMP | condition, operand, 0, 1)] + ends
            let index = [Line(B.BPF_LDX | B.BPF_IMM, operand), Line(B.BPF_LD | B.BPF_IMM, value), Line(B.BPF_JMP | condition | B.BPF_X, 0, 0, 1)] + ends
            return try [constant, index].map { try Self.filter($0).answer(to: .init(0, on: 0)) == 1 }
        }
        for (condition, below, same, above) in [
            (B.BPF_JEQ, false, true, false), (B.BPF_JGT, false, false, true), (B.BPF_JGE, false, true, true),
        ] {
            #expect(try branch(condition, 4, 5) == [below, below])
            #expect(try branch(condition, 5, 5) == [same, same])
            // Without a sign.
            #expect(try branch(condition, 0x8000_0000, 5) == [above, above])
        }
        #expect(try branch(B.BPF_JSET, 6, 2) == [true, true])
        #expect(try branch(B.BPF_JSET, 6, 1) == [false, false])
        #expect(try Self.filter([Line(B.BPF_JMP | B.BPF_JA, 1), Line(B.BPF_RET, 1), Line(B.BPF_RET, 2)]).answer(to: .init(0, on: 0)) == 2)
    }

    /// What the kernel refuses, and what would lead out of the program or its data.
    @Test func refusedPrograms() {
        let end = Line(B.BPF_RET, Self.allow)
        let refused: [[Line]] = [
            [], [Line(B.BPF_LD | B.BPF_IMM)], [Line(Self.load, 64), end], [Line(Self.load, 2), end], [Line(B.BPF_LD | B.BPF_MEM, 16), end],
            [Line(B.BPF_LDX | B.BPF_MEM, 16), end], [Line(B.BPF_ST, 16), end], [Line(B.BPF_STX, .max), end],
            [Line(B.BPF_ALU | B.BPF_DIV, 0), end], [Line(B.BPF_ALU | B.BPF_LSH, 32), end], [Line(B.BPF_ALU | B.BPF_RSH, 32), end],
            [Line(B.BPF_JMP | B.BPF_JA, 1), end], [Line(B.BPF_JMP | B.BPF_JA, .max), end], [Line(B.BPF_JMP | B.BPF_JEQ, 0, 1, 0), end],
            [Line(B.BPF_JMP | B.BPF_JSET | B.BPF_X, 0, 0, 255), end], [Line(B.BPF_ALU | 0x90, 3), end], [Line(0x28, 0), end], [Line(0x40, 0), end],
            [Line(0xffff), end], [Line(B.BPF_RET | B.BPF_X), end], Array(repeating: end, count: 4097),
        ]
        for (number, lines) in refused.enumerated() { #expect(SeccompFilter(Self.bytes(lines)) == nil, "\(number)") }
        #expect(SeccompFilter(Self.bytes([end]) + [0]) == nil)
        #expect(SeccompFilter(Self.bytes(Array(repeating: end, count: 4096))) != nil)
    }

    /// Each filter is asked; only calls that are made as if there were none are allowed.
    @Test func theStrictestCounts() throws {
        let call = SeccompFilter.Call(39, on: Self.native)
        func constant(_ action: UInt32) throws -> SeccompFilter { try Self.filter([Line(B.BPF_RET, action)]) }
        typealias A = SeccompAction
        for action in [A.SECCOMP_RET_ALLOW, A.SECCOMP_RET_LOG, A.SECCOMP_RET_ALLOW | 5] { #expect(SeccompFilter.allow(call, [try constant(action)])) }
        for action in [A.SECCOMP_RET_ERRNO, A.SECCOMP_RET_TRAP, A.SECCOMP_RET_KILL_THREAD, Self.kill, A.SECCOMP_RET_TRACE, A.SECCOMP_RET_USER_NOTIF, 0x1_0000] {
            #expect(!SeccompFilter.allow(call, [try constant(action)]))
            #expect(!SeccompFilter.allow(call, [try constant(Self.allow), try constant(action), try constant(Self.allow)]))
        }
        #expect(SeccompFilter.allow(call, []))
        #expect(try constant(A.SECCOMP_RET_USER_NOTIF | 3).canReturn(A.SECCOMP_RET_USER_NOTIF))
        #expect(try !constant(A.SECCOMP_RET_ALLOW).canReturn(A.SECCOMP_RET_USER_NOTIF))
        #expect(try Self.filter([Line(Self.load, 12), Line(Self.give)]).readsInstructionPointer)
        #expect(try !Self.filter([Line(Self.load, 16), Line(Self.give)]).readsInstructionPointer)
    }

    /// Any bytes: a program that is taken ends, without leaving its bounds.
    @Test func anyProgramEnds() {
        var state: UInt64 = 5
        func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
        let codes: [UInt16] = [0x20, 0x80, 0, 0x60, 0x81, 1, 0x61, 2, 3, 7, 0x87, 4, 0x0c, 0x14, 0x24, 0x34, 0x3c, 0x44, 0x54, 0xa4, 0x64, 0x6c, 0x74, 0x7c, 0x84, 5, 0x15, 0x1d, 0x25, 0x35, 0x45, 0x4d, 6, 0x16]
        var taken = 0
        for _ in 0..<20_000 {
            let count = Int(next() % 12) + 1
            let lines = (0..<count).map { _ in
                Line(codes[Int(next()) % codes.count], UInt32(truncatingIfNeeded: next() % 20), UInt8(next() % 6), UInt8(next() % 6))
            }
            guard let filter = SeccompFilter(Self.bytes(lines + [Line(B.BPF_RET | B.BPF_A)])) else { continue }
            taken += 1
            _ = filter.answer(to: .init(UInt32(next()), on: Self.native, [next()]))
        }
        #expect(taken > 500)
    }
}
