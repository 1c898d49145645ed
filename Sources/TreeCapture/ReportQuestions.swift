internal import CheckpointImage
internal import Kernel
internal import StepProgram

/// Which children have stopped or gone on (SIGCONT) without their parent having been told: only the parent itself can
/// ask, by a waitid(2) that leaves the report where it is.
///
/// - Source: waitid(2), WNOWAIT.
struct ReportQuestions {
    struct Child {
        /// Of the image.
        var pid: UInt32
        /// As the parent sees it.
        var number: UInt32
    }

    /// How many children one program asks after.
    static let most = 100
    /// `siginfo_t`
    private static let infoSize = 128

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

    /// By pid of the image.
    func unreported(_ answer: Injection.Answer) -> [UInt32] {
        children.enumerated().filter { Self.isReport(answer, at: $0.offset * Self.infoSize) }.map(\.element.pid)
    }

    /// - Parameter child: its number as the parent sees it; nil: any.
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
    func collectReports(of pid: Int32, children: [ReportQuestions.Child], _ injection: Injection) throws(SystemError) {
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
    func livingChildren() -> [UInt32: [ReportQuestions.Child]] {
        var parents: [UInt32: ImageProcess] = [:]
        var children: [UInt32: [ReportQuestions.Child]] = [:]
        // Parents come before their children.
        for process in imageProcesses where process.state != .zombie {
            parents[process.pid] = process
            guard let parent = parents[process.parent], let number = process.pid(seenBy: parent) else { continue }
            children[parent.pid, default: []].append(ReportQuestions.Child(pid: process.pid, number: number))
        }
        return children
    }
}
