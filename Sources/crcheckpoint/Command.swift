import ArgumentParser
import CheckpointImage
import CommandSupport
import Kernel
import LinuxABI
import RestorePlan
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
    var tree: Int32?

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

    @Flag(
        name: .long,
        help: "With --kill and --stop: do not find out first whether this host could restart the image. For images that go elsewhere.")
    var unchecked = false

    @Option(
        help: ArgumentHelp("With --kill and --stop: what the restart that is found possible does about control groups.", valueName: "HOW"))
    var cgroup = CgroupChoice.restore

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Carry files in the image, for a host that lacks them or has others: programs (program files and libraries), open (regular files that are open, up to SIZE, 64M), or all.",
            valueName: "WHICH[:SIZE]"))
    var withFiles: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Let through an open file that leads out of the tree, by the name that a finding prints: pipe:[4711], socket:[4711], /dev/fuse; may be repeated. crrestart --fd puts something in its place.",
            valueName: "ID"))
    var external: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "With -o - --kill: end the tree only when the line \"restarted\" has come from this descriptor; crrestart --ack writes it.",
            valueName: "FD"))
    var ack: Int32?

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

    @OptionGroup var network: LockArguments

    @OptionGroup var common: CommonOptions

    static func main() {
        FaultSetting.apply(CommandLine.arguments)
        main(nil)
    }

    func validate() throws {
        if let withFiles, CarriedFiles(withFiles) == nil {
            throw ValidationError("--with-files \(withFiles): programs, open, open:SIZE, all or all:SIZE is expected; SIZE is a number with K, M or G.")
        }
        if network.isGiven {
            if tree != nil || output != nil { throw ValidationError("--locks and --unlock take no checkpoint.") }
            return
        }
        if tree == nil { throw ValidationError("--tree PID says which tree is saved.") }
        if kill && stop { throw ValidationError("--kill and --stop exclude each other.") }
        if output == nil && !dryRun { throw ValidationError("-o IMG says where the image goes; -o - is standard output.") }
        if ack != nil && !(kill && output == "-") { throw ValidationError("--ack goes with -o - --kill: a file needs no reader's word.") }
        // Before anything is opened that could get the number.
        if let ack, !DescriptorTable.isOpen(ack) { throw ValidationError("--ack names descriptor \(ack), which is not open.") }
        if !(freezeTimeout > 0 && freezeTimeout < 1e6) {
            throw ValidationError("--freeze-timeout is a number of seconds above 0.")
        }
    }

    func run() throws {
        guard let tree, !network.isGiven else {
            do throws(CaptureError) { try network.run(json: common.json) } catch {
                report(error)
                throw ExitCode(error.exitStatus)
            }
            return
        }
        let log = Log(common)
        let line = ProgressLine(common.progress, quiet: common.json || dryRun)
        let path = output == "-" ? nil : output
        var options = Checkpoint.Options(root: tree, output: path)
        options.afterwards = kill ? .kill : stop ? .stop : .goOn
        options.force = force
        options.isUnchecked = unchecked
        options.ignoresCgroups = cgroup == .ignore
        options.acknowledgement = ack
        options.carried = withFiles.flatMap { CarriedFiles($0) } ?? CarriedFiles()
        options.external = external
        options.connections = network.tcp
        options.recording = recordSight
        options.freezeTimeout = Int64(freezeTimeout * 1e9)
        let isJSON = common.json
        options.lastWords = { Array((Self.text($0, json: isJSON) + "\n").utf8) }
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
    private func report(_ error: CaptureError) { Messages.error(Self.text(error.namingOtherEnds(), json: common.json)) }

    private static func text(_ error: CaptureError, json: Bool) -> String {
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
