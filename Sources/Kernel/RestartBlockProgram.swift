/// The BPF program of ``RestartBlockProbe`` that reads restart blocks.
///
/// ```
/// r6 = context, r7 = task (end if null or not traced), r8 = sequence file
/// stack: record at -record, format text and the function's address below it
/// record = {tid, pid, 0, task->restart_block}
/// bpf_seq_write(r8, record); bpf_seq_printf(r8, "%ps\n", &function)
/// ```
struct RestartBlockProgram {
    let code: BPFCode

    static let headerSize = 16

    /// Bytes of a record before the name.
    static func recordSize(_ layout: RestartBlockLayout) -> Int { headerSize + (layout.blockSize + 7) & ~7 }

    init(_ layout: RestartBlockLayout) {
        let recordSize = Self.recordSize(layout)
        let record = -recordSize
        let format = record - 8
        let address = record - 16

        var program = BPFAssembler()
        var end = BPFAssembler.Label()
        program.beginTask(layout.tracing, end: &end)
        for offset in stride(from: record, to: 0, by: 8) { program.emit(.storeImmediate8, 10, offset: offset) }
        for (field, offset) in [(layout.task, record), (layout.process, record + 4)] {
            program.emit(.load4, 1, source: 7, offset: field)
            program.emit(.store4, 10, source: 1, offset: offset)
        }
        program.read(layout.blockSize, to: record + Self.headerSize, from: 7, offset: layout.block)
        program.write(recordSize, at: record)
        program.emit(.load8, 1, source: 10, offset: record + Self.headerSize + layout.function)
        program.emit(.store8, 10, source: 1, offset: address)
        program.writeName(ofFunctionAt: address, format: format)
        program.finish(end: end)
        code = program.code
    }
}
