/// The BPF program of ``RestartBlockProbe``.
///
/// ```
/// r6 = context, r7 = task (end if null), r8 = sequence file
/// stack: record at -record, format text and the function's address below it
/// record = {tid, pid, 0, task->restart_block}
/// bpf_seq_write(r8, record); bpf_seq_printf(r8, "%ps\n", &function)
/// ```
///
/// - Source: Documentation/bpf/standardization/instruction-set.rst; linux/bpf.h.
struct RestartBlockProgram {
    private(set) var instructions: [UInt64] = []

    static let headerSize = 16

    /// Bytes of a record before the name.
    static func recordSize(_ layout: RestartBlockLayout) -> Int { headerSize + (layout.blockSize + 7) & ~7 }

    init(_ layout: RestartBlockLayout) {
        let recordSize = Self.recordSize(layout)
        let record = -recordSize
        let format = record - 8
        let address = record - 16

        emit(Code.moveRegister, 6, source: 1)
        emit(Code.load8, 7, source: 6, offset: 8)
        // Room for the distance to the end.
        let jump = instructions.count
        emit(0)
        emit(Code.load8, 8, source: 6, offset: 0)
        emit(Code.load8, 8, source: 8, offset: 0)

        for offset in stride(from: record, to: 0, by: 8) { emit(Code.storeImmediate8, 10, offset: offset) }
        for (field, offset) in [(layout.task, record), (layout.process, record + 4)] {
            emit(Code.load4, 1, source: 7, offset: field)
            emit(Code.store4, 10, source: 1, offset: offset)
        }

        // bpf_probe_read_kernel(record + header, size, task + offset)
        stackAddress(1, record + Self.headerSize)
        emit(Code.moveImmediate, 2, immediate: layout.blockSize)
        emit(Code.moveRegister, 3, source: 7)
        emit(Code.addImmediate, 3, immediate: layout.block)
        emit(Code.call, immediate: Helper.probeReadKernel)

        // bpf_seq_write(seq, record, size)
        emit(Code.moveRegister, 1, source: 8)
        stackAddress(2, record)
        emit(Code.moveImmediate, 3, immediate: recordSize)
        emit(Code.call, immediate: Helper.sequenceWrite)

        // bpf_seq_printf(seq, "%ps\n", 5, &function, 8)
        emit(Code.load8, 1, source: 10, offset: record + Self.headerSize + layout.function)
        emit(Code.store8, 10, source: 1, offset: address)
        emit(Code.storeImmediate8, 10, offset: format)
        emit(Code.storeImmediate4, 10, offset: format, immediate: 0x0a73_7025)
        emit(Code.moveRegister, 1, source: 8)
        stackAddress(2, format)
        emit(Code.moveImmediate, 3, immediate: 5)
        stackAddress(4, address)
        emit(Code.moveImmediate, 5, immediate: 8)
        emit(Code.call, immediate: Helper.sequencePrint)

        instructions[jump] = Self.encode(Code.jumpIfZero, 7, offset: instructions.count - jump - 1)
        emit(Code.moveImmediate, 0)
        emit(Code.exit)
    }

    /// `BPF_FUNC_*`.
    private enum Helper {
        static let probeReadKernel = 113
        static let sequencePrint = 126
        static let sequenceWrite = 127
    }

    /// Class, size or operation, and source of linux/bpf_common.h and linux/bpf.h, put together.
    private enum Code {
        static let moveRegister: UInt8 = 0xbf  // ALU64 | MOV | X
        static let moveImmediate: UInt8 = 0xb7  // ALU64 | MOV | K
        static let addImmediate: UInt8 = 0x07  // ALU64 | ADD | K
        static let load4: UInt8 = 0x61  // LDX | MEM | W
        static let load8: UInt8 = 0x79  // LDX | MEM | DW
        static let store4: UInt8 = 0x63  // STX | MEM | W
        static let store8: UInt8 = 0x7b  // STX | MEM | DW
        static let storeImmediate4: UInt8 = 0x62  // ST | MEM | W
        static let storeImmediate8: UInt8 = 0x7a  // ST | MEM | DW
        static let jumpIfZero: UInt8 = 0x15  // JMP | JEQ | K
        static let call: UInt8 = 0x85  // JMP | CALL
        static let exit: UInt8 = 0x95  // JMP | EXIT
    }

    private mutating func stackAddress(_ register: UInt8, _ offset: Int) {
        emit(Code.moveRegister, register, source: 10)
        emit(Code.addImmediate, register, immediate: offset)
    }

    private mutating func emit(
        _ code: UInt8, _ destination: UInt8 = 0, source: UInt8 = 0, offset: Int = 0, immediate: Int = 0
    ) {
        instructions.append(
            Self.encode(code, destination, source: source, offset: offset, immediate: immediate))
    }

    /// `struct bpf_insn`: code 8, destination 4, source 4, offset 16, immediate 32.
    private static func encode(
        _ code: UInt8, _ destination: UInt8, source: UInt8 = 0, offset: Int = 0, immediate: Int = 0
    ) -> UInt64 {
        UInt64(code) | UInt64(destination) << 8 | UInt64(source) << 12
            | UInt64(UInt16(truncatingIfNeeded: offset)) << 16
            | UInt64(UInt32(truncatingIfNeeded: immediate)) << 32
    }
}
