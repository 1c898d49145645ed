internal import Kernel
internal import LinuxABI
internal import StepProgram

/// The program by which a stopped task makes a descriptor of userfaultfd(2) that serves its memory, without having it: pure.
///
/// The task makes a helper, which shares its memory (CLONE_VM), and waits as in vfork(2) until that has ended; then it takes the helper's
/// status. The helper leaves the descriptor table to the task without closing anything, makes the descriptor in a table of its own, and waits
/// a bounded time; meanwhile crcheckpoint takes the descriptor and ends it. So the table of the task never has it, and if crcheckpoint dies
/// the task goes on after a second.
///
/// - Source: clone(2); close_range(2); userfaultfd(2).
struct TrackProgram {
    let program: Program
    private let helper: Int
    private let made: Int
    private let ready: Int
    private let place: InjectionPlace

    /// A number that no task has, in place of the helper's.
    private static let noTask: UInt64 = 0x7fff_ffff

    init(at place: InjectionPlace) {
        self.place = place
        var program = Program(title: "track", hasNotes: false)
        let flags =
            CloneFlag.CLONE_VM | CloneFlag.CLONE_VFORK | CloneFlag.CLONE_FILES | CloneFlag.CLONE_UNTRACED | CloneFlag.CLONE_PARENT_SETTID
        // Behind: the call itself, wait4, the end. clone(2) writes the helper's number into the argument of wait4(2).
        helper = program.call(
            .clone,
            [
                .value(flags), 0, .value(Self.address(1, place) + 8), 0, .value(place.slotAddress), .value(Self.address(3, place)),
            ], check: .none)
        program.call(.wait4, [.value(Self.noTask), 0, .value(WaitOption.__WALL), 0], check: .none)
        program.end()
        program.call(.close_range, [0, .value(0xffff_ffff), .value(CloseRange.CLOSE_RANGE_UNSHARE)], check: .none)
        let open = UInt64(OpenFlag.O_CLOEXEC | OpenFlag.O_NONBLOCK) | Userfault.UFFD_USER_MODE_ONLY
        made = program.call(.userfaultfd, [.value(open)], check: .none)
        ready = program.call(.getpid, check: .none)
        program.call(.ppoll, [0, 0, .value(place.stubAddress + UInt64(CheckpointStub.waitOffset)), 0, 0], check: .none)
        for _ in 0..<2 { program.call(.exit_group, [0], check: .none) }
        self.program = program
    }

    /// Where a step lies: behind the first one, which every program begins with.
    private static func address(_ step: Int, _ place: InjectionPlace) -> UInt64 {
        place.programAddress + UInt64((step + 1) * EncodedStep.size)
    }

    /// In the task's memory, while the program runs: the helper's number in the task's pid namespace.
    var numberAddress: UInt64 { Self.address(1, place) + 8 }
    /// Not 0 when the helper has made its calls.
    var readyAddress: UInt64 { Self.address(ready, place) + EncodedStep.resultOffset }
    /// Then: the number of the descriptor, or minus errno.
    var resultAddress: UInt64 { Self.address(made, place) + EncodedStep.resultOffset }

    /// Why there was no helper; nil: there was one.
    func refusal(_ answer: ProgramAnswer) -> SystemError? {
        let result = answer.result(of: helper)
        return result > 0 ? nil : SystemError(Int32(clamping: -result), in: "clone")
    }
}
