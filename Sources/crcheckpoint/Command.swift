import ArgumentParser
import CheckpointImage
import CommandSupport
import TreeCapture

@main
struct Command: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crcheckpoint",
        abstract: "Saves a running tree of processes to one file.",
        discussion: """
            The tree goes on running unless --kill or --stop is given. crrestart rebuilds it from the file, \
            here or on another host.
            """,
        version: ToolVersion.line("crcheckpoint"))

    @Option(
        name: .long, help: ArgumentHelp("The root of the tree: it and all its descendants are saved.", valueName: "PID"),
        completion: .shellCommand("ls /proc | grep '^[0-9]'"))
    var tree: Int32

    @Option(
        name: [.short, .long],
        help: ArgumentHelp(
            "The file to write the image to, mode 0600; - is standard output (the result then goes to standard error).",
            valueName: "IMG"),
        completion: .file())
    var output: String?

    @Flag(name: .long, help: "End the tree once its image is safe on disk.")
    var kill = false

    @Flag(name: .long, help: "Leave the tree stopped; SIGCONT lets it go on.")
    var stop = false

    @Flag(name: .long, help: "List what cannot be saved; write nothing, stop nothing.")
    var dryRun = false

    @Flag(name: .long, help: "Replace an image that is there already.")
    var force = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "How long the tree may take to stop; after that it is let go on, and the command fails.", valueName: "SECONDS"))
    var freezeTimeout: Double = 10

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Write what was seen of the tree to this file, as JSON text: for tests and for reports of what went wrong.",
            valueName: "FILE", visibility: .hidden), completion: .file())
    var recordSight: String?

    @OptionGroup var common: CommonOptions

    static func main() {
        FaultSetting.apply(CommandLine.arguments)
        main(nil)
    }

    func validate() throws {
        if kill && stop { throw ValidationError("--kill and --stop exclude each other.") }
        if output == nil && !dryRun { throw ValidationError("-o IMG says where the image goes; -o - is standard output.") }
        if !(freezeTimeout > 0 && freezeTimeout < 1e6) {
            throw ValidationError("--freeze-timeout is a number of seconds above 0.")
        }
    }

    func run() throws {
        let log = Log(common)
        let line = ProgressLine(common.progress, quiet: common.json || dryRun)
        let path = output == "-" ? nil : output
        var options = Checkpoint.Options(root: tree, output: path)
        options.afterwards = kill ? .kill : stop ? .stop : .goOn
        options.force = force
        options.recording = recordSight
        options.freezeTimeout = Int64(freezeTimeout * 1e9)
        let checkpoint = Checkpoint(
            options, log: { log.write(.warning, $0) },
            progress: { now in
                if line.show(stage: now.stage, done: now.done, total: now.total) {
                    log.write(.debug, "\(line.milliseconds) ms: \(now.stage)")
                }
            })
        do {
            if dryRun {
                try printDryRun(checkpoint)
            } else {
                let result = try checkpoint.run()
                line.end()
                log.write(.debug, "\(line.milliseconds) ms: done")
                print(result, to: path == nil ? 2 : 1, log)
            }
        } catch let error as CaptureError {
            line.end()
            report(error)
            throw ExitCode(error.exitStatus)
        }
    }

    private func print(_ result: Checkpoint.Result, to stream: Int32, _ log: Log) {
        if common.json {
            let notices = result.notices.map(jsonString).joined(separator: ", ")
            Messages.write(
                """
                {"image": \(jsonString(output ?? "")), "processes": \(result.processes), "tasks": \(result.tasks), \
                "bytes": \(result.bytes), "stopped_ns": \(result.stoppedNanoseconds), \
                "total_ns": \(result.totalNanoseconds), "notices": [\(notices)]}

                """, to: stream)
            return
        }
        for notice in result.notices { log.note(notice) }
        let name = output == "-" ? "standard output" : output ?? ""
        Messages.write(
            "\(name): \(result.processes) processes, \(result.tasks) tasks, \(size(result.bytes)), stopped for \(milliseconds(result.stoppedNanoseconds)) ms\n",
            to: stream)
    }

    private func printDryRun(_ checkpoint: Checkpoint) throws {
        let (findings, notices, result) = try checkpoint.dryRun()
        if !findings.isEmpty { throw CaptureError(findings: findings) }
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

    private func report(_ error: CaptureError) {
        if common.json {
            let findings = error.findings.map { finding in
                "{\"pid\": \(finding.pid), \"command\": \(jsonString(finding.command)), \"object\": \(jsonString(finding.object)), \"reason\": \(jsonString(finding.reason)), \"help\": \(jsonString(finding.help))}"
            }
            Messages.error(
                "{\"error\": \(jsonString(error.sentence)), \"status\": \(error.exitStatus), \"findings\": [\(findings.joined(separator: ", "))]}"
            )
            return
        }
        Messages.error(error.sentence)
        for finding in error.findings { Messages.error("  " + finding.line) }
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
