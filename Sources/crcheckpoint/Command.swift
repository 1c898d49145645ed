import ArgumentParser
import CheckpointImage
import CommandSupport
import HostProbe
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
            "Compress pages, in chunks of 256 KiB: zstd, zstd:LEVEL (1 to 19; 1 without it) or lz4. crrestart and crimage read such images like any other.",
            valueName: "HOW"))
    var compress: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Leave out pages that are as in this image of the same tree. A restart needs it, and its own parents: beside the new image, where it is now, or in a directory that crrestart is told; crimage merge makes one image of all.",
            valueName: "IMG"),
        completion: .file())
    var parent: String?

    @OptionGroup var tracking: TrackArguments

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Let through an open file that leads out of the tree, by the name that a finding prints: pipe:[4711], socket:[4711], /dev/fuse; may be repeated. crrestart --fd puts something in its place, and --reconnect connects a unix socket anew.",
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
            "Keep the tree stopped once the image is complete, until a line from descriptor FD says kill, stop or release; answers go to the same descriptor, a socket, or to OUT. The end of the other side lets the tree go on. docs/protocol.md tells the lines.",
            valueName: "FD[,OUT]"))
    var hold: String?

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

    @OptionGroup var seal: SealArguments
    @OptionGroup var copying: LiveArguments

    @OptionGroup var network: LockArguments

    @OptionGroup var common: CommonOptions

    static func main() {
        FaultSetting.apply(CommandLine.arguments)
        main(CommandLine.arguments.dropFirst().map(LiveArguments.spelledOut))
    }

    func validate() throws {
        if let withFiles, CarriedFiles(withFiles) == nil {
            throw ValidationError("--with-files \(withFiles): programs, open, open:SIZE, all or all:SIZE is expected; SIZE is a number with K, M or G.")
        }
        if let compress, PageCompression(compress) == nil {
            throw ValidationError("--compress \(compress): zstd, zstd:LEVEL with a level from 1 to 19, or lz4 is expected.")
        }
        if network.isGiven {
            if tree != nil || output != nil { throw ValidationError("--locks and --unlock take no checkpoint.") }
            return
        }
        if tree == nil { throw ValidationError("--tree PID says which tree is saved.") }
        if tracking.untrack {
            if output != nil || tracking.track || dryRun { throw ValidationError("--untrack takes no checkpoint: -o, --track and --dry-run exclude it.") }
            return
        }
        if kill && stop { throw ValidationError("--kill and --stop exclude each other.") }
        if copying.live ?? .never != .never && (kill || stop || hold != nil) {
            throw ValidationError("--live lets the tree go on while its pages are written: --kill, --stop and --hold exclude it.")
        }
        if tracking.track && (kill || stop || hold != nil || dryRun) {
            throw ValidationError("--track is for a tree that goes on: --kill, --stop, --hold and --dry-run exclude it.")
        }
        if output == nil && !dryRun { throw ValidationError("-o IMG says where the image goes; -o - is standard output.") }
        if ack != nil && !(kill && output == "-") { throw ValidationError("--ack goes with -o - --kill: a file needs no reader's word.") }
        if let hold {
            if kill || stop || ack != nil || dryRun { throw ValidationError("--hold says later what becomes of the tree: --kill, --stop, --ack and --dry-run exclude it.") }
            guard let channel = HoldChannel(hold) else { throw ValidationError("--hold \(hold): FD or FD,OUT is expected, numbers of open descriptors.") }
            for number in channel.numbers where !DescriptorTable.isOpen(number) { throw ValidationError("--hold names descriptor \(number), which is not open.") }
        }
        // Before anything is opened that could get the number.
        if let ack, !DescriptorTable.isOpen(ack) { throw ValidationError("--ack names descriptor \(ack), which is not open.") }
        if seal.areGiven && dryRun { throw ValidationError("--dry-run writes no image: --sign and --encrypt exclude it.") }
        if !(freezeTimeout > 0 && freezeTimeout < 1e6) {
            throw ValidationError("--freeze-timeout is a number of seconds above 0.")
        }
    }

    func run() throws {
        guard let tree, !network.isGiven, !tracking.untrack else {
            do throws(CaptureError) {
                if let tree { try tracking.end(of: tree, json: common.json) } else { try network.run(json: common.json) }
            } catch {
                report(error)
                throw ExitCode(error.exitStatus)
            }
            return
        }
        let log = Log(common)
        let line = ProgressLine(common.progress, quiet: common.json || dryRun)
        let path = output == "-" ? nil : output
        var options = Checkpoint.Options(root: tree, output: path)
        options.afterwards = kill || hold != nil ? .kill : stop ? .stop : .goOn
        options.hold = hold.flatMap { HoldChannel($0) }
        options.force = force
        options.isUnchecked = unchecked
        options.ignoresCgroups = cgroup == .ignore
        options.acknowledgement = ack
        options.carried = withFiles.flatMap { CarriedFiles($0) } ?? CarriedFiles()
        options.external = external
        options.live = copying.live
        options.tracks = tracking.track
        options.compression = compress.flatMap { PageCompression($0) }
        options.connections = network.tcp
        options.recording = recordSight
        options.seal = try sealChoice()
        options.freezeTimeout = Int64(freezeTimeout * 1e9)
        if let parent {
            do throws(CaptureError) { options.parent = try ChosenParent(parent) } catch { throw failed(error, options) }
        }
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
            throw failed(error, options)
        }
    }

    private func sealChoice() throws -> SealChoice? {
        if !seal.areGiven { return nil }
        do throws(KeyFileError) {
            let (secret, signer) = try seal.read()
            return SealChoice(secret: secret, signer: signer)
        } catch {
            report(CaptureError("\(error)"))
            throw ExitCode(1)
        }
    }
}
