internal import Kernel
internal import LinuxABI
internal import StepProgram

/// The program by which a stopped task makes a descriptor of userfaultfd(2) that serves its memory, without having it: pure.
///
/// The task makes a ``MemoryHelper``. That leaves the descriptor table to the task, makes the descriptor in a table of its own, and waits
/// a bounded time; meanwhile crcheckpoint takes the descriptor and ends it. So the table of the task never has it, and if crcheckpoint dies
/// the task goes on after a second.
///
/// - Source: userfaultfd(2).
struct TrackProgram {
    let program: Program
    private let helper: MemoryHelper
    private let made: Int
    private let ready: Int
    private let place: InjectionPlace

    init(at place: InjectionPlace) {
        self.place = place
        var program = Program(title: "track", hasNotes: false)
        helper = MemoryHelper(at: place, stepsBetween: 1, &program)
        program.end()
        MemoryHelper.leaveDescriptors(&program)
        let open = UInt64(OpenFlag.O_CLOEXEC | OpenFlag.O_NONBLOCK) | Userfault.UFFD_USER_MODE_ONLY
        made = program.call(.userfaultfd, [.value(open)], check: .none)
        ready = program.call(.getpid, check: .none)
        MemoryHelper.wait(1, at: place, &program)
        MemoryHelper.end(&program)
        self.program = program
    }

    /// In the task's memory, while the program runs: the helper's number in the task's pid namespace.
    var numberAddress: UInt64 { helper.numberAddress }
    /// Not 0 when the helper has made its calls.
    var readyAddress: UInt64 { MemoryHelper.address(of: ready, in: place) + EncodedStep.resultOffset }
    /// Then: the number of the descriptor, or minus errno.
    var resultAddress: UInt64 { MemoryHelper.address(of: made, in: place) + EncodedStep.resultOffset }

    /// Why there was no helper; nil: there was one.
    func refusal(_ answer: ProgramAnswer) -> SystemError? {
        let result = answer.result(of: helper.made)
        return result > 0 ? nil : SystemError(Int32(clamping: -result), in: "clone")
    }
}
