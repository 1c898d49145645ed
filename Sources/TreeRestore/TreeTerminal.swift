internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// The terminal of a tree whose own terminal belonged to a process outside of it.
///
/// A job of a shell gets the terminal of crrestart itself (``LentTerminal``): its session is that of crrestart. A tree that holds the
/// leader of its session needs a terminal that controls no other session: a pty of its own, between which and its own terminal
/// crrestart copies (``RelayedTerminal``).
protocol TreeTerminal: AnyObject {
    /// Comes before the tree is released.
    func give(to groups: TreeGroups)
    /// The tree runs: what it shows is drawn anew.
    func begin()
    /// Crrestart is about to stop, because the tree did or because it was told to: the shell gets the terminal.
    func stopped()
    /// Crrestart goes on, or has come to the foreground.
    func continued()
    /// The window of crrestart's terminal has another size.
    func resized()
    /// The tree has ended.
    func ended()
}

/// Process groups of a tree, as seen from here.
struct TreeGroups {
    let rootPid: Int32
    /// That of the root; nil: it is that of crrestart.
    let root: Int32?
    /// That which was in the foreground; nil: none of the tree, or that of crrestart.
    let foreground: Int32?
    let isStopped: Bool

    init(_ tree: borrowing ForkedTree, staysStopped: Bool) {
        let image = tree.plan.valid.image
        func host(_ group: UInt32) -> Int32? {
            guard group != 0, group != image.header.outsideGroup else { return nil }
            let index = tree.plan.tasks.indices.first { image.process(tree.plan.tasks[$0].pid)?.group == group && !tree.plan.tasks[$0].isDead }
            return index.flatMap { try? ProcessStat(of: tree.hostPids[$0]) }?.group
        }
        rootPid = tree.hostPids[0]
        root = host(image.root.group)
        foreground = image.terminals.first { $0.outside }.flatMap { host($0.foreground) }
        isStopped = image.root.state == .stopped || staysStopped
    }
}

extension Restart {
    /// Decides about the terminal of the tree. Nil: it has none, or crrestart has none to give.
    func makeTerminal(_ plan: RestorePlan) throws(RestoreError) -> (any TreeTerminal)? {
        guard let record = plan.valid.image.terminals.first(where: \.outside), let number = plan.valid.facts.terminal, !options.detaches
        else { return nil }
        do throws(SystemError) {
            if plan.valid.facts.terminalIsFresh { return try RelayedTerminal(record, number) }
            return try LentTerminal(record, number)
        } catch { throw RestoreError(cannot: "prepare the terminal of the tree", error) }
    }

    /// Says what will be missing, before anything is created.
    func tellAboutTerminal(_ image: CheckpointImage, _ facts: HostFacts) {
        guard image.terminals.contains(where: { $0.outside && ($0.session != 0 || $0.foreground != 0) }) else { return }
        if facts.terminal == nil {
            tell("the tree had a terminal, and crrestart has none: no keys will reach it (script -qec \"crrestart IMAGE\" /dev/null gives it one)")
        } else if options.detaches {
            tell("the tree had a terminal in its hands: with --detach it is in the background of ours, and no keys reach it")
        }
    }
}

extension Kernel.Terminal {
    /// A descriptor of the terminal of crrestart: 0, 1 or 2, or 3 for `/dev/tty`.
    fileprivate static func open(_ number: UInt32) throws(SystemError) -> Descriptor {
        try Descriptor.open(number > 2 ? "/dev/tty" : "/proc/self/fd/\(number)", Int32(OpenFlag.O_RDWR | OpenFlag.O_NOCTTY))
    }
}

/// The terminal of crrestart, in the hands of a job.
///
/// As a shell does for its jobs: the job's group is in the foreground and the job's settings are in force while it runs; the
/// settings that were there before come back when it stops or ends.
final class LentTerminal: TreeTerminal {
    private let terminal: Descriptor
    private let ownGroup: Int32
    private var shellSettings: [UInt8]
    /// Nil: the tree did not have the terminal in its hands, so it gets it as it is.
    private var treeSettings: [UInt8]?
    private var groups: TreeGroups?
    /// The group of the tree that is in the foreground while the terminal is lent.
    private var group: Int32
    private var isLent = false

    /// Nil: the terminal controls another session, so no process group of ours can be in its foreground.
    init?(_ record: ImageTerminal, _ number: UInt32) throws(SystemError) {
        terminal = try Kernel.Terminal.open(number)
        guard TerminalControl.session(terminal.number) == Processes.ownSession else { return nil }
        _ = SignalQueue([Signal.SIGTTOU])
        ownGroup = Processes.ownGroup
        group = ownGroup
        shellSettings = try TerminalControl.settings(terminal.number)
        treeSettings = TerminalSettings(record.settings.asBytes).flatMap { saved in
            TerminalSettings(shellSettings).map { saved.onLine(of: $0).bytes }
        }
    }

    private var isOurs: Bool { TerminalControl.foreground(terminal.number) == ownGroup }

    func give(to groups: TreeGroups) {
        self.groups = groups
        group = groups.foreground ?? groups.root ?? ownGroup
        if !groups.isStopped { lend() }
    }

    private func lend() {
        guard !isLent, isOurs else { return }
        if let current = try? TerminalControl.settings(terminal.number) { shellSettings = current }
        if let treeSettings { try? TerminalControl.set(terminal.number, settings: treeSettings) }
        try? TerminalControl.setForeground(terminal.number, group: group)
        isLent = true
    }

    func begin() {
        guard isLent, let treeSettings, TerminalSettings(treeSettings)?.isCanonical == false else { return }
        WindowChange.show(on: terminal.number, to: groups?.rootPid)
    }

    func stopped() {
        guard isLent else { return }
        if let current = try? TerminalControl.settings(terminal.number) { treeSettings = current }
        if let now = TerminalControl.foreground(terminal.number), now != ownGroup { group = now }
        takeBack()
    }

    private func takeBack() {
        // In this order: the settings of the shell are not for the tree.
        try? TerminalControl.setForeground(terminal.number, group: ownGroup)
        try? TerminalControl.set(terminal.number, settings: shellSettings)
        isLent = false
    }

    func continued() {
        lend()
        for group in Set([group, groups?.root ?? group]) where group != ownGroup { try? Processes.kill(-group, Signal.SIGCONT) }
    }

    func resized() {}

    func ended() { if isLent { takeBack() } }
}

/// A pty of the tree's own. What crrestart's terminal sends goes to the master, and back.
final class RelayedTerminal: TreeTerminal {
    private let terminal: Descriptor
    let master: Descriptor
    /// The tree inherits it.
    let slave: Int32
    private var ownSettings: [UInt8]
    private let ownGroup = Processes.ownGroup
    /// Read from the terminal, not taken by the pty yet.
    private var keys: [UInt8] = []
    private var isRaw = false
    private var rootPid: Int32?
    private var hasSlave = true

    init(_ record: ImageTerminal, _ number: UInt32) throws(SystemError) {
        terminal = try Kernel.Terminal.open(number)
        _ = SignalQueue([Signal.SIGTTOU, Signal.SIGTTIN])
        ownSettings = try TerminalControl.settings(terminal.number)
        master = try Pty.open()
        let end = try Pty.openSlave(of: master.number)
        let settings = TerminalSettings(record.settings.asBytes)?.bytes ?? ownSettings
        try TerminalControl.set(end.number, settings: settings)
        try TerminalControl.set(end.number, size: try TerminalControl.size(terminal.number))
        slave = end.release()
    }

    deinit { closeSlave() }

    private func closeSlave() {
        if hasSlave { DescriptorTable.close(slave) }
        hasSlave = false
    }

    func give(to groups: TreeGroups) {
        rootPid = groups.rootPid
        closeSlave()
    }

    func begin() {
        makeRaw()
        if let settings = try? TerminalControl.settings(master.number), TerminalSettings(settings)?.isCanonical == false {
            WindowChange.show(on: master.number, to: rootPid)
        }
    }

    private func makeRaw() {
        guard !isRaw, TerminalControl.foreground(terminal.number).map({ $0 == ownGroup }) ?? true,
            let current = try? TerminalControl.settings(terminal.number)
        else { return }
        ownSettings = current
        guard let raw = TerminalSettings(current)?.raw else { return }
        try? TerminalControl.set(terminal.number, settings: raw.bytes)
        isRaw = true
    }

    func stopped() {
        if isRaw { try? TerminalControl.set(terminal.number, settings: ownSettings) }
        isRaw = false
    }

    func continued() {
        makeRaw()
        resized()
    }

    func resized() {
        if let size = try? TerminalControl.size(terminal.number) { try? TerminalControl.set(master.number, size: size) }
    }

    /// Copies what is there, and waits for more or for one of two other descriptors.
    func copy(until others: [Int32]) {
        var watched = others.map { Readiness.Look($0) }
        watched.append(Readiness.Look(master.number, writing: !keys.isEmpty))
        if keys.isEmpty && isRaw { watched.append(Readiness.Look(terminal.number)) }
        let ready = Readiness.wait(watched, milliseconds: 60_000)
        if ready.readable.contains(master.number) {
            guard copyOutput() else { return Waiting.pause(atMost: 20_000_000) }
        }
        if ready.readable.contains(terminal.number), let bytes = try? terminal.read(upTo: 4096), !bytes.isEmpty { keys += bytes }
        if !keys.isEmpty { keys.removeFirst(Readiness.writeSome(keys, to: master.number)) }
    }

    /// False: the tree has closed the slave.
    private func copyOutput() -> Bool {
        guard let bytes = try? master.read(upTo: 65536), !bytes.isEmpty else { return false }
        try? terminal.write(bytes)
        return true
    }

    func ended() {
        while Readiness.wait([Readiness.Look(master.number)], milliseconds: 20).readable.contains(master.number) {
            if !copyOutput() { break }
        }
        stopped()
    }
}

/// Has a program draw its screen anew.
enum WindowChange {
    /// Many programs draw only if the size is another one: it is, for a moment.
    ///
    /// - Parameter pid: waits until this process has taken the signal, a second at most.
    static func show(on number: Int32, to pid: Int32?) {
        guard let size = try? TerminalControl.size(number), size.count == TerminalControl.windowSize else { return }
        var other = size
        let columns = UInt16(size[2]) | UInt16(size[3]) << 8
        let changed = columns > 2 ? columns - 1 : columns + 1
        (other[2], other[3]) = (UInt8(truncatingIfNeeded: changed), UInt8(truncatingIfNeeded: changed >> 8))
        try? TerminalControl.set(number, size: other)
        let deadline = SystemClock.monotonic.now() + 1_000_000_000
        var quiet = 0
        while let pid, quiet < 10, SystemClock.monotonic.now() < deadline {
            Waiting.pause(atMost: 10_000_000)
            guard let stat = try? ProcessStat(of: pid) else { break }
            quiet = stat.state == UInt8(ascii: "S") ? quiet + 1 : 0
        }
        try? TerminalControl.set(number, size: size)
    }
}
