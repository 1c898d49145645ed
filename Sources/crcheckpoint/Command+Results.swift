import ArgumentParser
import CheckpointImage
import CommandSupport
import Kernel
import LinuxABI
import RestorePlan
import TreeCapture

/// What the command prints.
extension Command {
    /// Tells why there is no image.
    func failed(_ error: CaptureError, _ options: Checkpoint.Options) -> ExitCode {
        options.hold?.tell("\(HoldWords.failed) \(error.sentence)")
        report(error)
        return ExitCode(error.exitStatus)
    }

    func print(_ result: Checkpoint.Result, to stream: Int32, _ log: Log) {
        if common.json {
            let notices = result.notices.map(jsonString).joined(separator: ", ")
            Messages.write(
                """
                {"image": \(jsonString(output ?? "")), "processes": \(result.processes), "tasks": \(result.tasks), \
                "bytes": \(result.bytes), "stopped_ns": \(result.stoppedNanoseconds), \
                "total_ns": \(result.totalNanoseconds), "copies": \(result.copies), "set_aside_bytes": \(result.bytesSetAside), "known_bytes": \(result.bytesKnown), "tracked_bytes": \(result.bytesTracked), "tree": "\(Self.word(result.afterwards))", "notices": [\(notices)]}

                """, to: stream)
            return
        }
        for notice in result.notices { log.note(notice) }
        let name = output == "-" ? "standard output" : output ?? ""
        Messages.write(
            "\(name): \(result.processes) processes, \(result.tasks) tasks, \(size(result.bytes)), stopped for \(milliseconds(result.stoppedNanoseconds)) ms\(LiveArguments.cost(result))\(hold == nil ? "" : ", the tree \(Self.word(result.afterwards))")\n",
            to: stream)
    }

    /// What has become of the tree.
    private static func word(_ afterwards: Checkpoint.Afterwards) -> String {
        switch afterwards {
        case .goOn: "goes on"
        case .kill: "ended"
        case .stop: "stopped"
        }
    }

    func printDryRun(_ checkpoint: Checkpoint) throws {
        let (findings, restart, told, result) = try checkpoint.dryRun()
        if !findings.isEmpty { throw CaptureError(findings: findings) }
        if !restart.isEmpty && (kill || stop) {
            var error = CaptureError("cannot \(kill ? "end" : "stop") the tree of \(tree ?? 0): its image could not be restarted here (--unchecked is for images that go elsewhere)")
            error.fault = .host
            error.hostFindings = restart
            throw error
        }
        let notices = told + restart.map { "it could not be restarted here: \($0.line)" }
        if common.json {
            Messages.result(
                "{\"processes\": \(result.processes), \"tasks\": \(result.tasks), \"bytes\": \(result.bytes), \"findings\": [], \"notices\": [\(notices.map(jsonString).joined(separator: ", "))]}"
            )
            return
        }
        for notice in notices { Messages.error("note: \(notice)") }
        Messages.result(
            "\(result.processes) processes, \(result.tasks) tasks, about \(size(result.bytes)): nothing in the tree stands in the way of a checkpoint")
    }

    /// The tree goes on by now, so looking at all processes of the host for other ends makes nothing wait.
    func report(_ error: CaptureError) { Messages.error(Self.text(error.namingOtherEnds(), json: common.json)) }

    static func text(_ error: CaptureError, json: Bool) -> String {
        guard json else { return ([error.sentence] + error.lines.map { "  " + $0 }).joined(separator: "\n") }
        let saved = error.findings.map { finding in
            "{\"pid\": \(finding.pid), \"command\": \(jsonString(finding.command)), \"object\": \(jsonString(finding.object)), \"reason\": \(jsonString(finding.reason)), \"help\": \(jsonString(finding.help))}"
        }
        let host = error.hostFindings.map { finding in
            "{\"object\": \(jsonString(finding.object)), \"reason\": \(jsonString(finding.reason)), \"help\": \(jsonString(finding.help))}"
        }
        return
            "{\"error\": \(jsonString(error.sentence)), \"status\": \(error.exitStatus), \"findings\": [\((saved + host).joined(separator: ", "))]}"
    }
}

/// A size with its unit, e.g. `1265 KiB`.
func size(_ bytes: UInt64) -> String {
    bytes < 10 << 20 ? "\((bytes + 1023) >> 10) KiB" : "\((bytes + (1 << 19)) >> 20) MiB"
}

func milliseconds(_ nanoseconds: Int64) -> String {
    let tenths = (nanoseconds + 50_000) / 100_000
    return "\(tenths / 10).\(tenths % 10)"
}
