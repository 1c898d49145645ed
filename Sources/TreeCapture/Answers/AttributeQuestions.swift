internal import Kernel
internal import LinuxABI
internal import StepProgram

/// What a thread is asked about attributes that prctl(2) and arch_prctl(2) set for it alone.
struct AttributeQuestions {
    private let timeStamp: (step: Int, place: Int)
    private let processorID: Int
    private let memoryFailure: Int
    private let speculation: [Int]

    /// - Parameter timeStamp: an address for an answer of four bytes; `place` is where that is in the data.
    init(to program: inout Program, timeStamp: UInt64, at place: Int) {
        self.timeStamp = (program.call(.prctl, [.value(Prctl.PR_GET_TSC), .value(timeStamp)], check: .none), place)
        processorID = program.call(.arch_prctl, [.value(ArchPrctl.ARCH_GET_CPUID), 0], check: .none)
        memoryFailure = program.call(.prctl, [.value(Prctl.PR_MCE_KILL_GET), 0, 0, 0, 0], check: .none)
        speculation = TaskAttributes.speculations.map { kind in
            program.call(.prctl, [.value(Prctl.PR_GET_SPECULATION_CTRL), .value(kind), 0, 0, 0], check: .none)
        }
    }

    /// A question that the kernel does not answer counts as answered by the usual.
    func read(_ answer: ProgramAnswer) -> AttributeAnswers {
        var answers = AttributeAnswers()
        answers.timeStampFaults =
            answer.result(of: timeStamp.step) == 0 && UInt64(answer.data.littleEndian32(at: timeStamp.place)) == Prctl.PR_TSC_SIGSEGV
        answers.processorIDFaults = answer.result(of: processorID) == 0
        let failure = answer.result(of: memoryFailure)
        if failure >= 0 { answers.memoryFailure = UInt32(clamping: failure) }
        answers.speculation = speculation.map { UInt32(clamping: max(0, answer.result(of: $0))) }
        return answers
    }
}
