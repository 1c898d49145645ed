import ArgumentParser
import CommandSupport
import Kernel
import LinuxABI
import RestorePlan
import TreeRestore

/// What crrestart says and writes about a restart.
extension Command {
    func json(_ running: borrowing RunningTree) -> String {
        let numbers = running.renumbering.map { NewNumbers.json($0, running.kept) } ?? ""
        return
            "{\"pid\": \(running.rootPid), \"processes\": \(running.processes), \"tasks\": \(running.tasks), \"total_ns\": \(running.nanoseconds), \"lazy_bytes\": \(running.lateBytes), \"stopped_ns\": \(json(running.stopped)), \"released_ns\": \(json(running.released)), \(numbers)\"notices\": [\(running.notices.map(jsonString).joined(separator: ", "))]}"
    }

    /// One instant on each clock.
    private func json(_ instant: TimePlan.Instant) -> String {
        "{\"realtime\": \(instant.realtime), \"monotonic\": \(instant.monotonic), \"boottime\": \(instant.boottime)}"
    }

    func describe(_ status: WaitStatus?) -> String {
        switch status {
        case .exited(let code)?: "exited with \(code)"
        case .killed(let signal)?: "was killed by signal \(signal)"
        default: "ended in an unknown way"
        }
    }

    func writeStatus(tool: Int32, error: String? = nil, root: WaitStatus?) {
        guard let statusFile else { return }
        var text = "{\"tool\": \(tool), \"error\": \(error.map(jsonString) ?? "null"), \"root\": "
        switch root {
        case .exited(let code)?: text += "{\"exit\": \(code)}"
        case .killed(let signal)?: text += "{\"signal\": \(signal)}"
        default: text += "null"
        }
        try? writeFile(statusFile, text + "}\n")
    }

    func writeFile(_ path: String, _ text: String) throws {
        do { try TextFile.write(path, text) } catch {
            Messages.error("cannot write \(path): \(error)")
            throw ExitCode(1)
        }
    }

    func report(_ error: RestoreError) {
        if common.json {
            Messages.error(
                "{\"error\": \(jsonString(error.sentence)), \"status\": \(error.exitStatus), \"findings\": [\(error.findings.map(jsonString).joined(separator: ", "))]}")
            return
        }
        Messages.error(error.sentence)
        for finding in error.findings { Messages.error("  " + finding) }
    }
}
