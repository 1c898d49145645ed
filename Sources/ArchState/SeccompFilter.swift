internal import LinuxABI

/// A filter of seccomp(2): a program of classic BPF that decides by the number and the arguments of a system call. Pure.
///
/// - Source: seccomp(2); kernel/seccomp.c, `seccomp_check_filter`; net/core/filter.c, `bpf_check_classic`.
package struct SeccompFilter: Sendable, Hashable {
    /// What a filter sees of a call: `struct seccomp_data`.
    package struct Call: Sendable, Equatable {
        package var number: UInt32
        /// AUDIT_ARCH_*
        package var architecture: UInt32
        /// Behind the instruction that makes the call.
        package var instructionPointer: UInt64 = 0
        /// Six.
        package var arguments: [UInt64]

        package init(_ number: UInt32, on architecture: UInt32, _ arguments: [UInt64] = []) {
            self.number = number
            self.architecture = architecture
            self.arguments = Array((arguments + [UInt64](repeating: 0, count: 6)).prefix(6))
        }

        /// The 32-bit word at a multiple of 4 below 64. The layout:
        ///
        ///     0 s32 nr   4 u32 arch   8 u64 instruction_pointer   16 u64 args[6]
        fileprivate func word(at offset: UInt32) -> UInt32 {
            func half(_ value: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: offset % 8 == 0 ? value : value >> 32) }
            switch offset {
            case 0: return number
            case 4: return architecture
            case 8, 12: return half(instructionPointer)
            default: return half(arguments[Int(offset - 16) / 8])
            }
        }
    }

    /// `struct sock_filter`
    struct Instruction: Sendable, Hashable {
        var code: UInt16
        var jumpIfTrue: UInt8
        var jumpIfFalse: UInt8
        var constant: UInt32
    }

    static let instructionSize = 8
    /// Bytes of `struct seccomp_data`.
    private static let dataSize: UInt32 = 64

    let instructions: [Instruction]

    /// - Parameter bytes: the program as the kernel has it. Nil if that is none that the kernel takes.
    package init?(_ bytes: [UInt8]) {
        let count = bytes.count / Self.instructionSize
        guard bytes.count % Self.instructionSize == 0, (1...ClassicBPF.BPF_MAXINSNS).contains(count) else { return nil }
        var instructions: [Instruction] = []
        instructions.reserveCapacity(count)
        for index in 0..<count {
            let head = bytes.u32(at: index * Self.instructionSize)
            let instruction = Instruction(
                code: UInt16(truncatingIfNeeded: head), jumpIfTrue: UInt8(truncatingIfNeeded: head >> 16),
                jumpIfFalse: UInt8(truncatingIfNeeded: head >> 24), constant: bytes.u32(at: index * Self.instructionSize + 4))
            guard Self.isAllowed(instruction, at: index, of: count) else { return nil }
            instructions.append(instruction)
        }
        // Every path ends: jumps go forwards only, and the last instruction returns.
        guard let last = instructions.last, [Code.returnConstant, Code.returnAccumulator].contains(last.code) else { return nil }
        self.instructions = instructions
    }

    /// Whether the kernel takes an instruction.
    private static func isAllowed(_ one: Instruction, at index: Int, of count: Int) -> Bool {
        let room = count - index - 1
        switch one.code {
        case Code.loadData: return one.constant < dataSize && one.constant % 4 == 0
        case Code.loadMemory, Code.loadIndexMemory, Code.store, Code.storeIndex: return one.constant < ClassicBPF.BPF_MEMWORDS
        case Code.divide: return one.constant != 0
        case Code.shiftLeft, Code.shiftRight: return one.constant < 32
        case Code.jump: return one.constant < room
        case Code.jumpIfEqual, Code.jumpIfEqual | Code.index, Code.jumpIfGreater, Code.jumpIfGreater | Code.index, Code.jumpIfAtLeast,
            Code.jumpIfAtLeast | Code.index, Code.jumpIfSet, Code.jumpIfSet | Code.index:
            return Int(one.jumpIfTrue) < room && Int(one.jumpIfFalse) < room
        default: return Code.others.contains(one.code)
        }
    }

    /// Whether the answer can depend on where in memory a call is made.
    package var readsInstructionPointer: Bool {
        instructions.contains { $0.code == Code.loadData && (8..<16).contains($0.constant) }
    }

    /// Whether it can answer with some action (SECCOMP_RET_*), as far as the constants in it tell.
    package func canReturn(_ action: UInt32) -> Bool {
        instructions.contains {
            $0.code == Code.returnAccumulator || $0.code == Code.returnConstant && $0.constant & SeccompAction.SECCOMP_RET_ACTION_FULL == action
        }
    }

    /// Whether a call gets through all of some filters, as if there were none: it is made, with at most a line in the log.
    ///
    /// Each of them is run, and the strictest answer counts.
    package static func allow(_ call: Call, _ filters: some Sequence<SeccompFilter>) -> Bool {
        filters.allSatisfy { filter in
            let action = filter.answer(to: call) & SeccompAction.SECCOMP_RET_ACTION_FULL
            return action == SeccompAction.SECCOMP_RET_ALLOW || action == SeccompAction.SECCOMP_RET_LOG
        }
    }

    /// SECCOMP_RET_* with its data. In time linear in the length of the program.
    package func answer(to call: Call) -> UInt32 {
        var accumulator: UInt32 = 0
        var index: UInt32 = 0
        var memory = [UInt32](repeating: 0, count: ClassicBPF.BPF_MEMWORDS)
        var place = 0
        while place < instructions.count {
            let one = instructions[place]
            place += 1
            let constant = one.constant
            let operand = one.code & Code.index != 0 ? index : constant
            func branch(_ isTrue: Bool) { place += Int(isTrue ? one.jumpIfTrue : one.jumpIfFalse) }
            switch one.code {
            case Code.loadData: accumulator = call.word(at: constant)
            case Code.loadLength: accumulator = Self.dataSize
            case Code.loadConstant: accumulator = constant
            case Code.loadMemory: accumulator = memory[Int(constant)]
            case Code.loadIndexLength: index = Self.dataSize
            case Code.loadIndexConstant: index = constant
            case Code.loadIndexMemory: index = memory[Int(constant)]
            case Code.store: memory[Int(constant)] = accumulator
            case Code.storeIndex: memory[Int(constant)] = index
            case Code.copyToIndex: index = accumulator
            case Code.copyFromIndex: accumulator = index
            case Code.add, Code.add | Code.index: accumulator &+= operand
            case Code.subtract, Code.subtract | Code.index: accumulator &-= operand
            case Code.multiply, Code.multiply | Code.index: accumulator &*= operand
            case Code.divide, Code.divide | Code.index:
                // A division by 0 ends the program with 0.
                if operand == 0 { return 0 }
                accumulator /= operand
            case Code.and, Code.and | Code.index: accumulator &= operand
            case Code.or, Code.or | Code.index: accumulator |= operand
            case Code.exclusiveOr, Code.exclusiveOr | Code.index: accumulator ^= operand
            case Code.shiftLeft, Code.shiftLeft | Code.index: accumulator &<<= operand
            case Code.shiftRight, Code.shiftRight | Code.index: accumulator &>>= operand
            case Code.negate: accumulator = 0 &- accumulator
            case Code.jump: place += Int(constant)
            case Code.jumpIfEqual, Code.jumpIfEqual | Code.index: branch(accumulator == operand)
            case Code.jumpIfGreater, Code.jumpIfGreater | Code.index: branch(accumulator > operand)
            case Code.jumpIfAtLeast, Code.jumpIfAtLeast | Code.index: branch(accumulator >= operand)
            case Code.jumpIfSet, Code.jumpIfSet | Code.index: branch(accumulator & operand != 0)
            case Code.returnConstant: return constant
            case Code.returnAccumulator: return accumulator
            default: return 0
            }
        }
        return 0
    }
}

/// Operation codes that filters of seccomp(2) may have.
private enum Code {
    typealias B = ClassicBPF
    /// Of arithmetic and jumps: the other operand is the index register.
    static let index = B.BPF_X
    static let loadData = B.BPF_LD | B.BPF_ABS
    static let loadLength = B.BPF_LD | B.BPF_LEN
    static let loadConstant = B.BPF_LD | B.BPF_IMM
    static let loadMemory = B.BPF_LD | B.BPF_MEM
    static let loadIndexLength = B.BPF_LDX | B.BPF_LEN
    static let loadIndexConstant = B.BPF_LDX | B.BPF_IMM
    static let loadIndexMemory = B.BPF_LDX | B.BPF_MEM
    static let store = B.BPF_ST
    static let storeIndex = B.BPF_STX
    static let copyToIndex = B.BPF_MISC | B.BPF_TAX
    static let copyFromIndex = B.BPF_MISC | B.BPF_TXA
    static let add = B.BPF_ALU | B.BPF_ADD
    static let subtract = B.BPF_ALU | B.BPF_SUB
    static let multiply = B.BPF_ALU | B.BPF_MUL
    static let divide = B.BPF_ALU | B.BPF_DIV
    static let and = B.BPF_ALU | B.BPF_AND
    static let or = B.BPF_ALU | B.BPF_OR
    static let exclusiveOr = B.BPF_ALU | B.BPF_XOR
    static let shiftLeft = B.BPF_ALU | B.BPF_LSH
    static let shiftRight = B.BPF_ALU | B.BPF_RSH
    static let negate = B.BPF_ALU | B.BPF_NEG
    static let jump = B.BPF_JMP | B.BPF_JA
    static let jumpIfEqual = B.BPF_JMP | B.BPF_JEQ
    static let jumpIfGreater = B.BPF_JMP | B.BPF_JGT
    static let jumpIfAtLeast = B.BPF_JMP | B.BPF_JGE
    static let jumpIfSet = B.BPF_JMP | B.BPF_JSET
    static let returnConstant = B.BPF_RET | B.BPF_K
    static let returnAccumulator = B.BPF_RET | B.BPF_A

    /// Those of which every form is taken.
    static let others: Set<UInt16> = [
        loadLength, loadConstant, loadIndexLength, loadIndexConstant, copyToIndex, copyFromIndex, add, add | index, subtract, subtract | index,
        multiply, multiply | index, divide | index, and, and | index, or, or | index, exclusiveOr, exclusiveOr | index, shiftLeft | index,
        shiftRight | index, negate, returnConstant, returnAccumulator,
    ]
}
