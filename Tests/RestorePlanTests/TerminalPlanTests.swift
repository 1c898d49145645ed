import CheckpointImage
import LinuxABI
import StepProgram
import Testing

@testable import RestorePlan

/// Plans of ptys whose master the tree holds.
@Suite struct TerminalPlanTests {
    private func pty(in sample: inout Sample, _ change: (inout ImageTerminal) -> Void = { _ in }) {
        var terminal = ImageTerminal()
        terminal.id = 1
        terminal.settings = [UInt8](repeating: 0, count: 44).asData
        change(&terminal)
        sample.records.terminals = [terminal]
        for (isMaster, number) in [(true, UInt32(7)), (false, 8), (false, 9)] {
            var end = ImageTerminalEnd()
            (end.terminal, end.master) = (1, isMaster)
            let file = sample.addFile(.terminal(end), at: [(1, number)])
            sample.records.openFiles[file].flags = OpenFlag.O_RDWR | (number == 9 ? OpenFlag.O_NONBLOCK : 0)
        }
    }

    private func steps(_ sample: Sample) throws -> [Step] {
        let plan = RestorePlan(for: try sample.valid())
        return plan.launchpad.programs.flatMap(\.steps)
    }

    private func requests(_ steps: [Step], _ request: UInt64) -> [Step] {
        steps.filter { $0.name == "ioctl" && $0.arguments.count > 1 && $0.arguments[1] == .value(request) }
    }

    /// Each open file of the slave is opened anew; the master is that which crrestart has made.
    @Test func bothEnds() throws {
        var sample = Sample()
        pty(in: &sample)
        let steps = try steps(sample)
        let flags = requests(steps, Ioctl.TIOCGPTPEER).map { $0.arguments[2] }
        let common = UInt64(OpenFlag.O_RDWR | OpenFlag.O_NOCTTY) | PlanBuilder.cloexec
        #expect(flags == [.value(common), .value(common | UInt64(OpenFlag.O_NONBLOCK))])
        #expect(requests(steps, Ioctl.TIOCEXCL).isEmpty && requests(steps, Ioctl.TIOCSPTLCK).isEmpty)
        #expect(requests(steps, Ioctl.TIOCSCTTY).isEmpty)
    }

    /// What keeps others out comes after all that is opened.
    @Test func exclusiveAndLocked() throws {
        var sample = Sample()
        pty(in: &sample) { ($0.exclusive, $0.locked) = (true, true) }
        let steps = try steps(sample)
        func places(_ request: UInt64) -> [Int] {
            steps.indices.filter { steps[$0].name == "ioctl" && steps[$0].arguments.count > 1 && steps[$0].arguments[1] == .value(request) }
        }
        let last = try #require(places(Ioctl.TIOCGPTPEER).last)
        #expect(places(Ioctl.TIOCEXCL).count == 1 && places(Ioctl.TIOCEXCL).allSatisfy { $0 > last })
        #expect(places(Ioctl.TIOCSPTLCK).count == 1 && places(Ioctl.TIOCSPTLCK).allSatisfy { $0 > last })
    }
}
