internal import Kernel
internal import LinuxABI
internal import StepProgram

/// The program by which a stopped task makes a copy of its memory: pure.
///
/// 1. The task lets every range be inherited that it has excluded from that (MADV_DONTFORK, MADV_WIPEONFORK).
/// 2. It makes a ``MemoryHelper``. The helper makes the copy and ends.
/// 3. It excludes the ranges again.
///
/// So the copy is no child of the task: it goes to the init of its pid namespace, or to the nearest subreaper, as the orphan of a daemon
/// does.
///
/// The copy leaves the session and the process group, leaves the descriptor table to the task, waits a bounded time to be taken hold of
/// (``MemoryCopy``), and ends.
///
/// All of this goes on to its end if crcheckpoint dies.
///
/// - Source: clone(2); close_range(2); madvise(2); kernel/exit.c, `find_new_reaper`.
struct CopyProgram {
    /// A range that a child would not get, or would get empty.
    struct Excluded: Equatable {
        var start: UInt64
        var end: UInt64
        /// MADV_DONTFORK or MADV_WIPEONFORK.
        var advice: UInt64
    }

    /// What came of it.
    enum Outcome: Equatable {
        /// The number of the copy in the task's pid namespace.
        case copied(Int32)
        /// The kernel refused: errno and call.
        case refused(Int32, String)
        /// The ranges could not be excluded again.
        case changed(Int32)
    }

    /// V8 has some hundreds. Each takes two steps, and the program has to fit into the working memory.
    static let mostExcluded = 8192
    /// Steps beside those of ranges, and more.
    private static let otherSteps = 40
    /// Seconds: how long a copy waits to be taken hold of.
    private static let waits = 5

    let program: Program
    /// In the copy: a word that is not 0 when all its calls have been made.
    let ready: UInt64
    private let opened: Range<Int>
    private let helper: MemoryHelper
    private let closed: Range<Int>
    private let copy: Int

    init(at place: InjectionPlace, excluding excluded: [Excluded]) {
        var program = Program(title: "copy", hasNotes: false)
        let inherited: [UInt64: UInt64] = [Madvise.MADV_DONTFORK: Madvise.MADV_DOFORK, Madvise.MADV_WIPEONFORK: Madvise.MADV_KEEPONFORK]

        // The working memory holds the steps of the copy.
        program.call(.madvise, [.value(place.memory), .value(place.size), .value(Madvise.MADV_DOFORK)], check: .none)
        for range in excluded {
            program.call(
                .madvise, [.value(range.start), .value(range.end - range.start), .value(inherited[range.advice] ?? Madvise.MADV_DOFORK)], check: .none)
        }
        opened = 0..<program.steps.count
        // Between: the ranges, and the end of the task's steps.
        helper = MemoryHelper(at: place, stepsBetween: excluded.count + 1, &program)
        let first = program.steps.count
        for range in excluded {
            program.call(.madvise, [.value(range.start), .value(range.end - range.start), .value(range.advice)], check: .none)
        }
        closed = first..<program.steps.count
        program.end()

        // Behind: the call itself, and the end of the helper.
        let ofCopy = program.steps.count + 3
        copy = MemoryHelper.clone(CloneFlag.CLONE_FILES | CloneFlag.CLONE_UNTRACED, to: ofCopy, at: place, &program)
        MemoryHelper.end(&program)

        program.call(.setsid, check: .none)
        MemoryHelper.leaveDescriptors(&program)
        ready = MemoryHelper.address(of: program.call(.getpid, check: .none), in: place) + EncodedStep.resultOffset
        MemoryHelper.wait(Self.waits, at: place, &program)
        MemoryHelper.end(&program)
        self.program = program
    }

    /// Bytes of working memory for so many ranges.
    static func memorySize(_ count: Int) -> UInt64 {
        let bytes = CheckpointStub.programOffset + UInt64((2 * count + otherSteps) * EncodedStep.size)
        return max(InjectionPlace.memorySize, (bytes + 0xffff) & ~0xffff)
    }

    /// The ranges of an address space, neighbours joined. Memory whose contents are not saved (MAP_DROPPABLE) is not among them.
    static func excluded(in maps: [MemoryMap]) -> [Excluded] {
        var all: [Excluded] = []
        for map in maps where !map.isShared && !map.flags.contains(.droppable) {
            let advice: UInt64
            if map.flags.contains(.dontFork) {
                advice = Madvise.MADV_DONTFORK
            } else if map.flags.contains(.wipeOnFork) {
                advice = Madvise.MADV_WIPEONFORK
            } else {
                continue
            }
            if let last = all.last, last.end == map.start, last.advice == advice {
                all[all.count - 1].end = map.end
            } else {
                all.append(Excluded(start: map.start, end: map.end, advice: advice))
            }
        }
        return all
    }

    func outcome(_ answer: ProgramAnswer) -> Outcome {
        for step in closed where answer.result(of: step) < 0 { return .changed(Self.errno(answer.result(of: step))) }
        for step in opened where answer.result(of: step) < 0 { return .refused(Self.errno(answer.result(of: step)), "madvise") }
        let (helper, waited, copy) = (answer.result(of: helper.made), answer.result(of: helper.waited), answer.result(of: copy))
        if helper < 0 { return .refused(Self.errno(helper), "clone") }
        if waited < 0 { return .refused(Self.errno(waited), "wait4") }
        if copy <= 0 || copy > Int64(Int32.max) { return .refused(copy < 0 ? Self.errno(copy) : Errno.EAGAIN, "clone") }
        return .copied(Int32(copy))
    }

    private static func errno(_ result: Int64) -> Int32 { Int32(clamping: -result) }
}
