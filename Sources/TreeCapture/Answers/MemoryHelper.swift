internal import Kernel
internal import LinuxABI
internal import StepProgram

/// The steps by which a stopped task makes a helper that shares its memory (CLONE_VM), waits as in vfork(2) until that has ended, and takes
/// its status: pure.
///
/// The helper sends no signal at its end and is seen by no wait(2) of the program, whose threads all stand still until it is gone. It
/// shares the descriptor table, too: CLOSE_RANGE_UNSHARE leaves that to the task without closing anything.
///
/// - Source: clone(2); wait4(2); close_range(2).
struct MemoryHelper {
    /// The steps of the task: clone, and the wait behind it.
    let made: Int
    let waited: Int
    /// In the task's memory, while the program runs: the helper's number in the task's pid namespace.
    let numberAddress: UInt64

    private static let flags =
        CloneFlag.CLONE_VM | CloneFlag.CLONE_VFORK | CloneFlag.CLONE_FILES | CloneFlag.CLONE_UNTRACED | CloneFlag.CLONE_PARENT_SETTID
    /// A number that no task has, in place of the helper's.
    private static let noTask: UInt64 = 0x7fff_ffff

    /// Appends both steps of the task.
    ///
    /// - Parameter between: how many of the task's steps follow them before the helper's first one.
    init(at place: InjectionPlace, stepsBetween between: Int, _ program: inout Program) {
        let next = program.steps.count
        // clone(2) writes the helper's number into the first argument of wait4(2).
        numberAddress = Self.address(of: next + 1, in: place) + 8
        made = Self.clone(Self.flags, to: next + 2 + between, number: numberAddress, at: place, &program)
        waited = program.call(.wait4, [.value(Self.noTask), 0, .value(WaitOption.__WALL), 0], check: .none)
    }

    /// Appends a clone(2) whose child begins at a step of the same program.
    @discardableResult
    static func clone(_ flags: UInt64, to step: Int, number: UInt64 = 0, at place: InjectionPlace, _ program: inout Program) -> Int {
        program.call(
            .clone, [.value(flags), 0, .value(number), 0, .value(place.slotAddress), .value(address(of: step, in: place))], check: .none)
    }

    /// Appends what leaves the shared descriptor table to the task.
    static func leaveDescriptors(_ program: inout Program) {
        program.call(.close_range, [0, .value(0xffff_ffff), .value(CloseRange.CLOSE_RANGE_UNSHARE)], check: .none)
    }

    /// Appends waits of a second each: how long a process of the program can be taken hold of.
    static func wait(_ seconds: Int, at place: InjectionPlace, _ program: inout Program) {
        let time = place.stubAddress + UInt64(CheckpointStub.waitOffset)
        for _ in 0..<seconds { program.call(.ppoll, [0, 0, .value(time), 0, 0], check: .none) }
    }

    /// Appends the end of a process; twice: the step loop would go on behind a call that a filter refuses.
    static func end(_ program: inout Program) { for _ in 0..<2 { program.call(.exit_group, [0], check: .none) } }

    /// Where a step lies: behind the first one, which every program begins with.
    static func address(of step: Int, in place: InjectionPlace) -> UInt64 { place.programAddress + UInt64((step + 1) * EncodedStep.size) }
}
