internal import Kernel
internal import LinuxABI
internal import StepProgram

/// Which children have stopped or gone on (SIGCONT) without their parent having been told: only the parent itself can
/// ask, by a waitid(2) that leaves the report where it is.
///
/// - Source: waitid(2), WNOWAIT.
struct ReportQuestions {
    struct Child {
        var pid: HostPid
        /// As the parent sees it.
        var number: UInt32
    }

    /// How many children one program asks after.
    static let most = 100
    /// `siginfo_t`
    static let infoSize = 128

    private(set) var program = Program(title: "reports of children")
    var dataSize: Int { children.count * Self.infoSize }
    private let children: [Child]

    /// - Parameters:
    ///   - data: address of the data segment.
    ///   - children: `most` of them at most.
    init(at data: UInt64, children: [Child]) {
        self.children = children
        for (index, child) in children.enumerated() {
            Self.ask(after: child.number, into: data + UInt64(index * Self.infoSize), &program)
        }
    }

    func unreported(_ answer: ProgramAnswer) -> [HostPid] {
        children.enumerated().filter { Self.isReport(answer, at: $0.offset * Self.infoSize) }.map(\.element.pid)
    }

    /// - Parameter child: its number as the parent sees it; nil: any.
    static func ask(after child: UInt32?, into room: UInt64, _ program: inout Program) {
        let options =
            WaitOption.WNOHANG | WaitOption.WSTOPPED | WaitOption.WCONTINUED | WaitOption.WNOWAIT | WaitOption.__WALL
        program.call(
            .waitid,
            [
                .value(child == nil ? WaitID.P_ALL : WaitID.P_PID), .number(child ?? 0), .value(room), .value(options), 0,
            ], check: .none)
    }

    /// Whether there was one: `si_pid` stays 0 otherwise.
    static func isReport(_ answer: ProgramAnswer, at offset: Int) -> Bool { answer.data.littleEndian32(at: offset + 16) != 0 }

    /// By process: its children that live, in the order of the sight.
    static func livingChildren(_ sight: TreeSight) -> [HostPid: [Child]] {
        var children: [HostPid: [Child]] = [:]
        let levels = Dictionary(sight.processes.map { ($0.pid, $0.status.value.namespaceProcessIDs.count) }) { first, _ in first }
        for process in sight.processes where process.pid != sight.root {
            let parent = HostPid(process.stat.value.parent)
            let numbers = process.status.value.namespaceProcessIDs
            // The parent sees it under its number in the parent's own pid namespace.
            guard let level = levels[parent], numbers.indices.contains(level - 1) else { continue }
            children[parent, default: []].append(Child(pid: process.pid, number: numbers[level - 1]))
        }
        return children
    }
}
