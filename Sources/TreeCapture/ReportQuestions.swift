internal import CheckpointImage
internal import Kernel
internal import StepProgram

/// Which children have stopped or gone on (SIGCONT) without their parent having been told: only the parent itself can
/// ask, by a waitid(2) that leaves the report where it is.
///
/// - Source: waitid(2), WNOWAIT.
struct ReportQuestions {
    /// How many children one program asks after.
    static let most = 100
    /// `siginfo_t`
    private static let infoSize = 128

    private(set) var program = Program(title: "reports of children")
    var dataSize: Int { children.count * Self.infoSize }
    private let children: [UInt32]

    /// - Parameters:
    ///   - data: address of the data segment.
    ///   - children: by the parent's own numbers, `most` of them at most.
    init(at data: UInt64, children: [UInt32]) {
        self.children = children
        for (index, child) in children.enumerated() {
            Self.ask(after: child, into: data + UInt64(index * Self.infoSize), &program)
        }
    }

    func unreported(_ answer: Injection.Answer) -> [UInt32] {
        children.enumerated().filter { Self.isReport(answer, at: $0.offset * Self.infoSize) }.map(\.element)
    }

    /// - Parameter child: nil: any.
    static func ask(after child: UInt32?, into room: UInt64, _ program: inout Program) {
        // P_ALL or P_PID; WNOHANG | WSTOPPED | WCONTINUED | WNOWAIT | __WALL
        program.call(
            .waitid, [child == nil ? 0 : 1, .number(child ?? 0), .value(room), .value(0x4100_000b), 0], check: .none)
    }

    /// Whether there was one: `si_pid` stays 0 otherwise.
    static func isReport(_ answer: Injection.Answer, at offset: Int) -> Bool {
        answer.data.littleEndian32(at: offset + 16) != 0
    }
}

extension Collector {
    /// Notes which children of a process it has not been told of yet.
    ///
    /// - Preconditions: there are some.
    func collectReports(of pid: Int32, children: [UInt32], _ injection: Injection) throws(SystemError) {
        var left = children[...]
        while !left.isEmpty {
            let questions = ReportQuestions(at: injection.dataAddress, children: Array(left.prefix(ReportQuestions.most)))
            left = left.dropFirst(ReportQuestions.most)
            guard let (answer, _) = try ask(questions.program, dataSize: questions.dataSize, in: pid, of: pid, injection)
            else { return }
            unreported.formUnion(questions.unreported(answer))
        }
    }

    /// By the pid of their parent: those that live.
    func livingChildren() -> [UInt32: [UInt32]] {
        var children: [UInt32: [UInt32]] = [:]
        for process in imageProcesses where process.state != .zombie {
            children[process.parent, default: []].append(process.pid)
        }
        return children
    }
}
