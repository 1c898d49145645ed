internal import Kernel
internal import LinuxABI
internal import StepProgram

/// What holds for the whole memory of a process, and for mappings to come: asked by the process itself.
///
/// What mlockall(2) said about mappings to come is seen by the working memory of the injected program, a mapping that
/// is younger: msync(2) with MS_INVALIDATE refuses locked memory, and a page of it that was never touched is there only if
/// it was locked at once (not MCL_ONFAULT).
struct MemoryQuestions {
    /// One byte of mincore(2).
    static let dataSize = 8

    private let offset: Int
    private let locked: Int
    private let writeExecute: Int
    private let hugePages: Int
    private let merging: Int

    /// Appends the questions.
    ///
    /// - Parameters:
    ///   - data: address of the data segment; the answer of mincore(2) goes to `data + offset`.
    ///   - untouched: address of a page of working memory that has not been touched.
    init(at data: UInt64, offset: Int, untouched: UInt64, to program: inout Program) {
        self.offset = offset
        let page: [Step.Argument] = [.value(untouched), .value(pageSize)]
        program.call(.mincore, page + [.value(data + UInt64(offset))], check: .none)
        locked = program.call(.msync, page + [.value(Msync.MS_INVALIDATE)], check: .none)
        func get(_ operation: UInt64) -> Int { program.call(.prctl, [.value(operation), 0, 0, 0, 0], check: .none) }
        writeExecute = get(Prctl.PR_GET_MDWE)
        hugePages = get(Prctl.PR_GET_THP_DISABLE)
        merging = get(Prctl.PR_GET_MEMORY_MERGE)
    }

    func read(_ answer: ProgramAnswer) -> MemoryAnswers {
        // A kernel that does not know a question has nothing to tell.
        func value(_ step: Int) -> UInt32 { UInt32(clamping: max(0, answer.result(of: step))) }
        var memory = MemoryAnswers()
        if answer.result(of: locked) == -Int64(Errno.EBUSY) {
            let isThere = answer.data.indices.contains(offset) && answer.data[offset] & 1 != 0
            memory.locksToCome = UInt32(Mlock.MCL_FUTURE | (isThere ? 0 : Mlock.MCL_ONFAULT))
        }
        memory.writeExecute = value(writeExecute)
        memory.hugePagesDisabled = value(hugePages)
        memory.mergesPages = value(merging) != 0
        return memory
    }
}

/// Attributes of a process's memory as a whole.
struct MemoryAnswers: Codable, Sendable, Equatable {
    /// MCL_FUTURE and MCL_ONFAULT of mlockall(2).
    var locksToCome: UInt32 = 0
    /// PR_GET_MDWE
    var writeExecute: UInt32 = 0
    /// PR_GET_THP_DISABLE
    var hugePagesDisabled: UInt32 = 0
    /// PR_GET_MEMORY_MERGE
    var mergesPages = false
}
