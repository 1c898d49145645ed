import ArgumentParser
import Kernel

/// The options for a restart that another program decides about: `docs/protocol.md`.
struct HoldArguments: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Load the tree, and wait until a line from descriptor FD says go or abort; answers go to the same descriptor, a socket, or to OUT. The end of the other side is an abort. docs/protocol.md tells the lines.",
            valueName: "FD[,OUT]"))
    var hold: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "With --hold: write to this file what has become of the tree, before it is said: going, running, or failed; with --lazy FILE.pages is made when all pages are there. A program that has lost the connection reads it.",
            valueName: "FILE"), completion: .file())
    var outcome: String?

    var channel: HoldChannel? { hold.flatMap { HoldChannel($0) } }
    var numbers: [UInt32] { (channel?.numbers ?? []).map { UInt32(bitPattern: $0) } }
    var outcomeFile: OutcomeFile? { outcome.map { OutcomeFile(path: $0) } }

    func check(dryRun: Bool) throws {
        if outcome != nil && hold == nil { throw ValidationError("--outcome goes with --hold.") }
        guard let hold else { return }
        if dryRun { throw ValidationError("--dry-run restarts nothing that could be held.") }
        try Self.requireOpen("--hold", hold)
    }

    /// What is not for the tree, and open.
    static func requireOpen(_ option: String, _ text: String) throws {
        guard let pair = DescriptorPair(text) else { throw ValidationError("\(option) \(text): FD or FD,OUT is expected, numbers of open descriptors.") }
        for number in pair.numbers {
            if number <= 2 { throw ValidationError("\(option) \(number): the tree may get descriptors 0 to 2.") }
            if !DescriptorTable.isOpen(number) { throw ValidationError("\(option) names descriptor \(number), which is not open.") }
        }
    }
}

/// One line: `going|running|failed [PID START BOOT]`. START is field 22 of /proc/PID/stat, BOOT the boot's id: together they
/// tell whether a process PID that is there now is the tree's root.
struct OutcomeFile {
    var path: String

    /// What tells that all pages are there.
    var ofPages: OutcomeFile { OutcomeFile(path: path + ".pages") }

    func write(_ word: String, root: Int32? = nil) throws(SystemError) {
        var line = word
        if let root {
            let start = (try? ProcessStat(of: root))?.startTime ?? 0
            line += " \(root) \(start) \((try? Kernel.bootID()) ?? "")"
        }
        try TextFile.replace(path, line + "\n")
    }
}
