/// Encodes the few instructions that the BPF programs of this module need.
///
/// - Source: Documentation/bpf/standardization/instruction-set.rst; linux/bpf.h.
struct BPFAssembler {
    private(set) var instructions: [UInt64] = []
    private var function: Int?

    /// What has been put together.
    var code: BPFCode { BPFCode(instructions, function: function) }

    /// `BPF_FUNC_*`.
    enum Helper: Int {
        case currentTask = 35
        case probeReadKernel = 113
        case sequencePrint = 126
        case sequenceWrite = 127
        case taskRegisters = 175
        case loop = 181
        case lookUpPerCPU = 195
    }

    /// Class, size or operation, and source of linux/bpf_common.h and linux/bpf.h, put together.
    enum Code: UInt8 {
        case moveRegister = 0xbf  // ALU64 | MOV | X
        case moveImmediate = 0xb7  // ALU64 | MOV | K
        case addImmediate = 0x07  // ALU64 | ADD | K
        case andImmediate = 0x57  // ALU64 | AND | K
        case load1 = 0x71  // LDX | MEM | B
        case load4 = 0x61  // LDX | MEM | W
        case load8 = 0x79  // LDX | MEM | DW
        case store4 = 0x63  // STX | MEM | W
        case store8 = 0x7b  // STX | MEM | DW
        case storeImmediate4 = 0x62  // ST | MEM | W
        case storeImmediate8 = 0x7a  // ST | MEM | DW
        case jump = 0x05  // JMP | JA
        case jumpIfEqual = 0x15  // JMP | JEQ | K
        case jumpUnlessEqual = 0x55  // JMP | JNE | K
        case jumpUnlessSame = 0x5d  // JMP | JNE | X
        case loadAddress = 0x18  // LD | IMM | DW, of two instructions
        case call = 0x85  // JMP | CALL
        case exit = 0x95  // JMP | EXIT
    }

    /// A place in the program, and the jumps to it that are still to be filled in.
    struct Label { fileprivate var jumps: [Int] = [] }

    mutating func emit(
        _ code: Code, _ destination: UInt8 = 0, source: UInt8 = 0, offset: Int = 0, immediate: Int = 0
    ) {
        instructions.append(
            Self.encode(code, destination, source: source, offset: offset, immediate: immediate))
    }

    /// Loads the address of a map; two instructions long (LD | IMM | DW, BPF_PSEUDO_MAP_FD).
    mutating func loadMap(_ register: UInt8, _ descriptor: Int32) {
        instructions.append(0x18 | UInt64(register) << 8 | 1 << 12 | UInt64(UInt32(bitPattern: descriptor)) << 32)
        instructions.append(0)
    }

    mutating func call(_ helper: Helper) { emit(.call, immediate: helper.rawValue) }

    /// A jump forwards to where `label` will be placed.
    mutating func jump(
        _ code: Code, _ register: UInt8 = 0, source: UInt8 = 0, immediate: Int = 0, to label: inout Label
    ) {
        label.jumps.append(instructions.count)
        emit(code, register, source: source, immediate: immediate)
    }

    /// Defines the label as the next instruction, and fills in the jumps to it.
    mutating func place(_ label: Label) {
        for jump in label.jumps {
            let distance = UInt16(truncatingIfNeeded: instructions.count - jump - 1)
            instructions[jump] = instructions[jump] & ~0xffff_0000 | UInt64(distance) << 16
        }
    }

    /// `bpf_loop(rounds, function, stack + context, 0)`. The function gets the round in r1 and the context in r2; it gives 0 to
    /// go on, and has no register but these.
    ///
    /// - Returns: what ``place(function:)`` defines.
    mutating func callLoop(rounds: Int, context: Int) -> Label {
        var label = Label()
        emit(.moveImmediate, 1, immediate: rounds)
        label.jumps.append(instructions.count)
        emit(.loadAddress, 2, source: 4)  // BPF_PSEUDO_FUNC
        instructions.append(0)
        stackAddress(3, context)
        emit(.moveImmediate, 4)
        call(.loop)
        return label
    }

    /// The function that ``callLoop(rounds:context:)`` calls begins here, behind the program's end.
    mutating func place(function label: Label) {
        for address in label.jumps {
            instructions[address] |= UInt64(instructions.count - address - 1) << 32
        }
        function = instructions.count
    }

    /// An address on the program's own stack, or from another register that points to a stack.
    mutating func stackAddress(_ register: UInt8, _ offset: Int, base: UInt8 = 10) {
        emit(.moveRegister, register, source: base)
        emit(.addImmediate, register, immediate: offset)
    }

    /// `bpf_probe_read_kernel(stack + destination, count, register + offset)`
    mutating func read(_ count: Int, to destination: Int, from register: UInt8, offset: Int = 0, base: UInt8 = 10) {
        emit(.moveRegister, 3, source: register)
        if offset != 0 { emit(.addImmediate, 3, immediate: offset) }
        stackAddress(1, destination, base: base)
        emit(.moveImmediate, 2, immediate: count)
        call(.probeReadKernel)
    }

    /// `bpf_seq_write(r8, stack + offset, count)`
    mutating func write(_ count: Int, at offset: Int, base: UInt8 = 10) {
        emit(.moveRegister, 1, source: 8)
        stackAddress(2, offset, base: base)
        emit(.moveImmediate, 3, immediate: count)
        call(.sequenceWrite)
    }

    /// `bpf_seq_printf(r8, "%ps\n", 5, stack + address, 8)`: the kernel names the function whose address lies
    /// there. The text is put at `format`.
    mutating func writeName(ofFunctionAt address: Int, format: Int, base: UInt8 = 10) {
        emit(.storeImmediate8, base, offset: format)
        emit(.storeImmediate4, base, offset: format, immediate: 0x0a73_7025)
        emit(.moveRegister, 1, source: 8)
        stackAddress(2, format, base: base)
        emit(.moveImmediate, 3, immediate: 5)
        stackAddress(4, address, base: base)
        emit(.moveImmediate, 5, immediate: 8)
        call(.sequencePrint)
    }

    /// What programs over tasks begin with: r6 = context, r7 = task, r8 = sequence file. To `end` if there is no task or it
    /// is not traced: the tasks in question have been seized by this process before.
    mutating func beginTask(_ tracing: Int, end: inout Label) { begin(tracing, end: &end) }

    /// The same for tasks that are traced or not.
    mutating func beginAnyTask(end: inout Label) { begin(nil, end: &end) }

    private mutating func begin(_ tracing: Int?, end: inout Label) {
        emit(.moveRegister, 6, source: 1)
        emit(.load8, 7, source: 6, offset: 8)
        jump(.jumpIfEqual, 7, to: &end)
        if let tracing {
            emit(.load4, 1, source: 7, offset: tracing)
            jump(.jumpIfEqual, 1, to: &end)
        }
        emit(.load8, 8, source: 6, offset: 0)
        emit(.load8, 8, source: 8, offset: 0)
    }

    mutating func finish(end: Label) {
        place(end)
        emit(.moveImmediate, 0)
        emit(.exit)
    }

    /// `struct bpf_insn`: code 8, destination 4, source 4, offset 16, immediate 32.
    private static func encode(
        _ code: Code, _ destination: UInt8, source: UInt8, offset: Int, immediate: Int
    ) -> UInt64 {
        UInt64(code.rawValue) | UInt64(destination) << 8 | UInt64(source) << 12
            | UInt64(UInt16(truncatingIfNeeded: offset)) << 16
            | UInt64(UInt32(truncatingIfNeeded: immediate)) << 32
    }
}
