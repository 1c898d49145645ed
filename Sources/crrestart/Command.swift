import ArgumentParser
import CheckpointImage
import CommandSupport
import Kernel
import LinuxABI
import RestorePlan
import TreeRestore

@main
struct Command: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crrestart",
        abstract: "Rebuilds a tree of processes from an image of crcheckpoint.",
        discussion: "Waits for the root of the tree by default, and passes signals on to it.",
        version: ToolVersion.line("crrestart"))

    @Argument(help: ArgumentHelp("The image; - is standard input.", valueName: "IMG"), completion: .file())
    var image: String

    @Flag(
        inversion: .prefixedNo,
        help: "Restart in a new pid namespace (--pidns; the default where the old pids are taken), or in this one (--no-pidns).")
    var pidns: Bool?

    @Flag(inversion: .prefixedNo, help: "Give the tasks their old pids (--pids), or fresh ones of this pid namespace (--no-pids).")
    var pids = true

    @Flag(name: .long, help: "Print the root's pid and leave as soon as the tree runs.")
    var detach = false

    @Flag(name: .long, help: "Wait for the root (the default).")
    var wait = false

    @Flag(name: .long, help: "End as the root ends: the same code, or the same signal.")
    var copyStatus = false

    @Flag(name: .long, help: "Print how the root ended, to standard error.")
    var showStatus = false

    @Option(
        name: .long, help: ArgumentHelp("Write the root's pid, as seen from here, to this file.", valueName: "FILE"),
        completion: .file())
    var pidFile: String?

    @Option(
        name: .long,
        help: ArgumentHelp("Write the exit status of the tool and of the root to this file, as JSON.", valueName: "FILE"),
        completion: .file())
    var statusFile: String?

    @Option(
        help: ArgumentHelp(
            "Whether the time between the checkpoint and the restart counts for sleeps, timers and clocks.",
            valueName: "MODEL"))
    var time = TimeModel.relative

    @Option(
        help: ArgumentHelp(
            "What to do if this host lacks instructions that the program may have chosen on the source host.",
            valueName: "HOW"))
    var cpu = CPUStrictness.lenient

    @Option(
        help: ArgumentHelp(
            "What to do about the control groups that the tasks were in.",
            valueName: "HOW"))
    var cgroup = CgroupChoice.restore

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Look for the tree's control groups below this one, of one hierarchy (memory:/jobs, v2:/jobs) or of all; may be repeated.",
            valueName: "[HIERARCHY:]PATH"))
    var cgroupRoot: [CgroupRoot] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Write the line \"restarted\" to this descriptor as soon as the tree runs: crcheckpoint --ack waits for it.", valueName: "FD"))
    var ack: Int32?

    @OptionGroup var holding: HoldArguments

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Give up if no step of the tree has ended for S seconds; 0: never. The time in which tasks read pages does not count.",
            valueName: "S"))
    var timeout: UInt32 = 60

    @Option(
        name: .long,
        help: ArgumentHelp(
            "With --no-pidns: wait up to S seconds for pids of processes that have ended and are not reaped yet; 0: do not wait.",
            valueName: "S"))
    var waitForPids: UInt32 = 10

    @Option(
        name: .customLong("fd"),
        help: ArgumentHelp(
            "N alone: let the root of the tree inherit descriptor N of crrestart, at the same number. N=WHAT, PID:N=WHAT: put something in the place of descriptor N of all processes, or of one: null, close, /path, append:/path, fd:M (descriptor M of crrestart). N=ID: put descriptor N of crrestart in the place of what crcheckpoint --external let through. May be repeated; no other descriptor above 2 is inherited.",
            valueName: "N|[PID:]N=WHAT|N=ID"))
    var fd: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Connect a unix socket that crcheckpoint --external let through with the same name again; what was on the way is lost. May be repeated.",
            valueName: "ID"))
    var reconnect: [String] = []

    @OptionGroup var file: FileArguments

    @OptionGroup var key: KeyArguments

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Take the host address NEW for the address OLD of sockets that are not connected, IPv4 or IPv6; may be repeated. A connection keeps its address.",
            valueName: "OLD=NEW"))
    var address: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "For root: restart with no more than this user has, and not as root. For images that somebody else could have made.",
            valueName: "NAME|UID"))
    var user: String?

    @Flag(name: .long, help: "Leave the tree stopped; SIGCONT lets it go on.")
    var stopped = false

    @OptionGroup var late: LazyArguments

    @OptionGroup var huge: HugePageArguments

    @Flag(name: .long, help: "Print the program of system calls of every task; create nothing.")
    var dryRun = false

    @Flag(name: .long, help: .hidden)
    var lastPid = false

    @Flag(name: .long, help: .hidden)
    var keepVdso = false

    @OptionGroup var common: CommonOptions

    static func main() {
        FaultSetting.apply(CommandLine.arguments)
        Surroundings.requireMemory()
        main(nil)
    }

    func validate() throws {
        if !pids && pidns == true {
            throw ValidationError("--no-pids gives fresh numbers of this pid namespace; in one of its own (--pidns) the tree has its old ones.")
        }
        _ = try DescriptorArguments(fd, reconnected: reconnect)
        _ = try file.options()
        _ = try AddressArguments.moves(address)
        try holding.check(dryRun: dryRun)
        try late.check(hasKeys: key.paths.contains { $0 != nil })
        if detach && (wait || copyStatus || showStatus) {
            throw ValidationError("--detach does not wait: --wait, --copy-status and --show-status exclude it.")
        }
    }

    func run() throws {
        try UserArguments.become(user, CommandLine.arguments)
        let descriptors = try DescriptorArguments(fd, reconnected: reconnect)
        let kept = Surroundings.closeInherited(but: descriptors.inherited + (ack.map { [UInt32(bitPattern: $0)] } ?? []) + holding.numbers + late.numbers, [image, pidFile, statusFile, common.logFile] + key.paths)
        try checkFiles()
        if let ack, !DescriptorTable.isOpen(ack) {
            Messages.error("cannot acknowledge the restart: EBADF (--ack names descriptor \(ack), which is not open; nothing was restarted)")
            throw ExitCode(1)
        }
        let log = Log(common)
        let line = ProgressLine(common.progress, quiet: common.json || dryRun)
        var options = Restart.Options(path: image == "-" ? nil : image)
        options.keys = try key.keys { report(RestoreError($0)) }
        options.parents = file.parents
        options.plan.newPidNamespace = pidns
        options.plan.keepsPids = pids
        options.plan.isLazy = late.lazy
        options.plan.hugePages = huge.hugePages
        options.served = late.ends
        options.staysStopped = stopped
        options.detaches = detach
        options.plan.usesLastPid = lastPid
        options.plan.keepsOldVdso = keepVdso
        options.plan.addresses = try AddressArguments.moves(address)
        options.plan.time = time
        options.plan.isStrictAboutCPU = cpu == .strict
        options.isOnlyShown = dryRun
        options.plan.cgroups.isIgnored = cgroup == .ignore
        options.plan.cgroups.isStrict = cgroup == .strict
        options.plan.cgroups.roots = cgroupRoot
        options.plan.files = try file.options()
        options.plan.handed = descriptors.handed
        options.descriptors = descriptors.choices
        options.ownDescriptors = kept
        options.patience = timeout
        options.patienceForPids = waitForPids
        options.plan.waitsForNumbers = waitForPids > 0
        let hold = holding.channel
        // The other side of --hold or --served may be gone: that is an answer, not an end by SIGPIPE.
        if hold != nil || late.served != nil { Processes.letWritesFail() }
        options.hold = hold
        let outcome = holding.outcomeFile
        options.isGoing = { root throws(SystemError) in try outcome?.write("going", root: root) }
        options.pagesAreThere = { try? outcome?.ofPages.write("complete") }
        let tell = { (text: String) in
            if !common.json { log.write(.warning, text) }
        }
        let restart = Restart(options, tell: tell) { stage, done, total in
            if line.show(stage: stage, done: done, total: total) { log.write(.debug, "\(line.milliseconds) ms: \(stage)") }
        }
        let running: RunningTree
        do throws(RestoreError) {
            if dryRun {
                let lines = try restart.dryRun()
                Messages.result(lines.joined(separator: "\n"))
                return
            }
            running = try restart.run()
            line.end()
            log.write(.debug, "\(line.milliseconds) ms: the tree runs")
            if late.lazy { log.write(.info, "\(running.lateBytes) bytes of its pages come while it runs") }
        } catch {
            line.end()
            try? outcome?.write("failed")
            hold?.tell("\(HoldWords.failed) \(([error.sentence] + error.findings).joined(separator: "; "))")
            report(error)
            writeStatus(tool: error.exitStatus, error: error.sentence, root: nil)
            throw ExitCode(error.exitStatus)
        }
        try? outcome?.write("running", root: running.rootPid)
        if let hold {
            hold.tell("\(HoldWords.Target.running) \(running.rootPid)")
            hold.close()
        }
        // The process that brings pages has them now.
        for number in late.numbers { DescriptorTable.close(Int32(bitPattern: number)) }
        letGo(descriptors)
        if let ack { acknowledge(ack, log) }
        for notice in running.notices where !common.json { log.write(.warning, notice) }
        if !common.json, let renumbering = running.renumbering { NewNumbers.show(renumbering, running.kept) }
        if let pidFile { try? writeFile(pidFile, "\(running.rootPid)\n") }
        if detach {
            writeStatus(tool: 0, root: nil)
            if common.json { Messages.result(json(running)) } else { Messages.result("\(running.rootPid)") }
            return
        }
        if common.json { Messages.error(json(running)) }
        let status = running.wait()
        if showStatus { Messages.error("root \(running.rootPid) \(describe(status))") }
        writeStatus(tool: 0, root: status)
        guard copyStatus else { return }
        guard let status else { throw ExitCode(1) }
        Processes.end(like: status)
    }

    /// Closes what the tree has now: if crrestart held a pipe, its reader would not see that the tree has closed it.
    private func letGo(_ descriptors: DescriptorArguments) {
        let paths = [image, pidFile, statusFile, common.logFile].compactMap { $0.flatMap { DescriptorTable.number(inPath: $0) } }
        let used = Set(paths + descriptors.handed + (ack.map { [UInt32(bitPattern: $0)] } ?? []))
        for number in descriptors.choices.compactMap(\.inherited) where number > 2 && !used.contains(number) {
            DescriptorTable.close(Int32(bitPattern: number))
        }
    }

    /// Tells crcheckpoint that the tree runs here, so that it ends it there.
    private func acknowledge(_ number: Int32, _ log: Log) {
        Processes.letWritesFail()
        do throws(SystemError) { try Channel.tell(Acknowledgement.line, over: number) } catch {
            log.write(.warning, "cannot acknowledge the restart: \(error.name) (the tree runs here, and it may go on where it was saved)")
        }
        if number > 2 { DescriptorTable.close(number) }
    }

    /// Fails if a file that is written after the restart cannot be written: called before anything is created.
    private func checkFiles() throws {
        for path in dryRun ? [] : [pidFile, statusFile, holding.outcome, common.logFile].compactMap({ $0 }) {
            do throws(SystemError) { try TextFile.check(path) } catch {
                Messages.error("cannot write \(path): \(error.name) (nothing was restarted)")
                throw ExitCode(1)
            }
        }
    }
}
