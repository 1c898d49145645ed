import ArchState
import CheckpointImage
import Foundation
import StepProgram
import Testing

@testable import RestorePlan

/// Fresh numbers: everything in the image that names a task by its number.
@Suite struct RenumberingTests {
    /// 100 with the threads 100 and 105, its child 101, a daemon 102 whose session's leader 99 is dead.
    private func sample() -> Sample {
        var sample = Sample()
        sample.addThread(105, of: 100)
        sample.addProcess(102, parent: 100)
        sample.records.processes[2].session = 99
        sample.records.processes[2].group = 99
        sample.options.keepsPids = false
        sample.facts.freshNumbers = [905, 904, 903, 902, 901]
        return sample
    }

    private func renumbering() throws -> Renumbering {
        try #require(Renumbering(of: try sample().image(), fresh: sample().facts.freshNumbers))
    }

    @Test func numbersInTheOrderOfTheImage() throws {
        let pairs = try renumbering().pairs
        #expect(pairs.map(\.old) == [100, 105, 101, 102, 99])
        #expect(pairs.map(\.new) == [901, 902, 903, 904, 905])
        #expect(pairs[0].title == "prog")
        #expect(pairs[1].title == ", a thread of 100")
        #expect(pairs[4].title == "a dead leader's session or process group")
        #expect(Renumbering(of: try sample().image(), fresh: [1, 2, 3, 4]) == nil)
        #expect(try renumbering().lines()[1] == "100      901      prog")
    }

    @Test func wholeTree() throws {
        let image = try renumbering().applied(to: try sample().image())
        #expect(image.header.root == 901)
        #expect(image.processes.map(\.pid) == [901, 903, 904])
        #expect(image.processes.map(\.parent) == [0, 901, 901])
        #expect(image.processes.map(\.session) == [901, 901, 905])
        #expect(image.processes.map(\.group) == [901, 901, 905])
        #expect(image.threads.map(\.tid) == [901, 902, 903, 904])
        #expect(image.threads(of: 901).map(\.tid) == [901, 902])
        #expect(image.process(100) == nil && image.thread(105) == nil)
        #expect(image.pageSection(of: PageOwner(.addressSpace, 102)) != nil)
        #expect(HelperNumbers(of: image).ghosts == [905])
    }

    @Test func peersOfSockets() throws {
        var sample = sample()
        let file = sample.addFile(.unix(.init()), at: [(0, 7)])
        sample.records.openFiles[file].unix.type = 2
        sample.records.openFiles[file].unix.peerCredentials.process = 101
        var message = ImageUnixMessage()
        message.sender.process = 102
        sample.records.openFiles[file].unix.queue = [message, ImageUnixMessage()]
        let waiting = sample.addFile(.unix(.init()), at: [(0, 8)])
        sample.records.openFiles[waiting].unix.type = 1
        sample.records.openFiles[waiting].unix.connector.process = 102
        let image = try renumbering().applied(to: try sample.image())
        let socket = image.openFiles[file].unix
        #expect(image.openFiles[waiting].unix.connector.process == 904)
        #expect(socket.peerCredentials.process == 903)
        #expect(socket.queue.map(\.sender.process) == [904, 0])
    }

    /// Everything that comes after knows the new numbers only.
    @Test func planHasNoOldNumber() throws {
        var sample = sample()
        let renumbering = try renumbering()
        let findings = try sample.findings()
        #expect(findings == [])
        sample.facts.takenPids = [100: "100 somebody"]
        #expect(try sample.findings() == [])
        let image = try renumbering.applied(to: try sample.image())
        let plan = RestorePlan(
            for: try ValidImage(image, on: sample.facts, options: sample.options), renumbering: renumbering)
        #expect(plan.tasks.map(\.tid) == [901, 902, 903, 904])
        #expect(plan.helpers.map(\.pid) == [905])
        #expect(plan.tasks[0].title == "901 prog (100 in the image)")
        let old: Set<Int64> = [99, 100, 101, 102, 105]
        for step in plan.launchpad.programs.flatMap(\.steps) {
            if case .equals(let value) = step.check { #expect(!old.contains(value), "\(step.line)") }
        }
        #expect(plan.lines().contains("101      903      prog"))
    }

    @Test func outsideNumbersStay() throws {
        var sample = sample()
        sample.records.header.outsideSession = 50
        sample.records.header.outsideGroup = 51
        sample.records.processes[0].session = 50
        sample.records.processes[0].group = 51
        sample.records.processes[1].session = 50
        sample.records.processes[1].group = 51
        let image = try renumbering().applied(to: try sample.image())
        #expect((image.processes[0].session, image.processes[0].group) == (50, 51))
        #expect((image.header.outsideSession, image.header.outsideGroup) == (50, 51))
        #expect(Renumbering.oldNumbers(of: try sample.image()) == [100, 105, 101, 102, 99])
    }

    @Test func tooFewNumbersAreFree() throws {
        var sample = sample()
        sample.facts.freshNumbers = [7]
        sample.facts.numbers.end = 300
        #expect(try sample.findings() == ["pids: 5 are needed, 1 are free here (sysctl kernel.pid_max is 300)"])
        #expect(try !sample.findings().contains { $0.contains("above") })
    }

    /// Only the numbers of the outermost namespace are others.
    @Test func nestedNamespaces() throws {
        var process = ImageProcess()
        process.pid = 101
        process.group = 0
        process.innerPids = [105]
        process.pending = [info(10, 0, 105)]
        try renumbering().translate(&process)
        #expect((process.pid, process.group) == (903, 0))
        #expect(process.innerPids == [105] && process.pending == [info(10, 0, 105)])
        var sample = sample()
        sample.facts.numbers.choice = .lastPid
        sample.options.keepsPids = true
        sample.addNamespace(.pid, parent: 1)
        #expect(try sample.findings().contains { $0.hasPrefix("pids: tasks of nested pid namespaces") })
    }

    // MARK: Each kind of number

    private func info(_ signal: UInt32, _ code: Int32, _ pid: UInt32) -> ImagePendingSignal {
        var bytes: [UInt8] = []
        for word in [signal, 0, UInt32(bitPattern: code), 0, pid, 1000] { bytes.append(littleEndian32: word) }
        var pending = ImagePendingSignal()
        pending.info = (bytes + [UInt8](repeating: 0, count: 128 - bytes.count)).asData
        return pending
    }

    /// si_pid, but for codes that have something else there, and for senders outside of the tree.
    @Test(arguments: [
        (10, 0, 101, 903), (34, -1, 101, 903), (34, -3, 101, 903), (10, -6, 101, 903), (17, 1, 102, 904), (17, 5, 102, 904),
        (10, 0, 4, 4), (34, -2, 101, 101), (11, 1, 101, 101), (29, -5, 101, 101), (10, 128, 101, 101),
    ] as [(UInt32, Int32, UInt32, UInt32)])
    func sender(_ signal: UInt32, _ code: Int32, _ old: UInt32, _ new: UInt32) throws {
        var pending = info(signal, code, old)
        try renumbering().translate(&pending)
        #expect(pending == info(signal, code, new))
    }

    @Test func clocksOfProcessorTime() throws {
        var timer = ImagePosixTimer()
        timer.thread = 105
        timer.clock = ~101 << 3 | 2
        var process = ImageProcess()
        process.posixTimers = [timer]
        timer.clock = -6  // of whoever uses it
        process.posixTimers.append(timer)
        timer.clock = 1
        process.posixTimers.append(timer)
        try renumbering().translate(&process)
        #expect(process.posixTimers.map(\.clock) == [~903 << 3 | 2, -6, 1])
        #expect(process.posixTimers.allSatisfy { $0.thread == 902 })
        var thread = ImageThread()
        thread.restartBlock.kind = .cpuNanosleep
        thread.restartBlock.clock = UInt32(bitPattern: ~105 << 3 | 6)
        try renumbering().translate(&thread)
        #expect(thread.restartBlock.clock == UInt32(bitPattern: ~902 << 3 | 6))
    }

    /// wait4 and waitid by number, when they are made again; nothing else, and nobody else's registers.
    @Test(arguments: [
        (61, -512, 101, 0, 903, 0), (61, -512, UInt64(bitPattern: -99), 0, UInt64(bitPattern: -905), 0),
        (61, -512, UInt64.max, 0, UInt64.max, 0), (61, -512, 0, 0, 0, 0), (61, 101, 101, 0, 101, 0),
        (247, -512, 1, 101, 1, 903), (247, -512, 2, 99, 2, 905), (247, -512, 3, 101, 3, 101), (62, -512, 101, 9, 101, 9),
        (61, -512, 4, 0, 4, 0),
    ] as [(UInt64, Int64, UInt64, UInt64, UInt64, UInt64)])
    func waits(_ call: UInt64, _ result: Int64, _ rdi: UInt64, _ rsi: UInt64, _ newRdi: UInt64, _ newRsi: UInt64) throws {
        var thread = try sample().image().threads[0]
        var general = X86GeneralRegisters()
        general.rip = 0x40_0000
        general.originalRAX = call
        general.rax = UInt64(bitPattern: result)
        (general.rdi, general.rsi) = (rdi, rsi)
        func records(_ registers: X86GeneralRegisters) -> [ImageCpuRecord] {
            CPUState(generalRegisters: registers).records.map {
                var record = ImageCpuRecord()
                record.feature = $0.feature
                record.body = $0.body.asData
                return record
            }
        }
        thread.cpu = records(general)
        try renumbering().translate(&thread)
        (general.rdi, general.rsi) = (newRdi, newRsi)
        #expect(thread.cpu == records(general))
    }

    @Test func openFiles() throws {
        var sample = sample()
        var proc = ImageProcFile()
        (proc.process, proc.thread, proc.name) = (100, 105, Array("comm".utf8).asData)
        let file = sample.addFile(.proc(proc), at: [(0, 7)])
        sample.records.openFiles[file].owner.type = 2
        sample.records.openFiles[file].owner.number = 99
        let image = try renumbering().applied(to: try sample.image())
        let open = try #require(image.openFiles.last)
        #expect(open.owner.number == 905 && open.owner.type == 2)
        #expect(open.proc.process == 901 && open.proc.thread == 902)
    }

    @Test func filesOfTasks() throws {
        var sample = sample()
        var pid = ImagePidFile()
        (pid.process, pid.thread) = (100, 105)
        let pidFile = sample.addFile(.pid(pid), at: [(0, 7)])
        var message = ImageUnixMessage()
        message.sender.process = 100
        var socket = ImageUnixSocket()
        (socket.type, socket.peerGone, socket.queue) = (5, true, [message])
        socket.peerCredentials.process = 100
        let socketFile = sample.addFile(.unix(socket), at: [(0, 8)])
        var terminal = ImageTerminal()
        (terminal.id, terminal.session, terminal.foreground) = (1, 100, 100)
        var end = ImageTerminalEnd()
        (end.terminal, end.master) = (1, true)
        sample.records.terminals = [terminal]
        _ = sample.addFile(.terminal(end), at: [(0, 9)])
        let image = try renumbering().applied(to: try sample.image())
        #expect(image.openFiles[pidFile].pid.process == 901 && image.openFiles[pidFile].pid.thread == 902)
        #expect(image.openFiles[socketFile].unix.peerCredentials.process == 901)
        #expect(image.openFiles[socketFile].unix.queue.map(\.sender.process) == [901])
        #expect(image.terminals.map(\.session) == [901] && image.terminals.map(\.foreground) == [901])
    }

    // MARK: No field is forgotten

    /// What is translated (and tested above), and what only sounds like it: by message and field.
    private static let translated: Set<String> = [
        "Header.root", "Process.pid", "Process.parent", "Process.group", "Process.session", "Process.pending",
        "Process.posix_timers", "PosixTimer.clock", "PosixTimer.thread", "Thread.tid", "Thread.process", "Thread.cpu",
        "Thread.pending", "RestartBlock.clock", "PendingSignal.info",
        "PidNamespace.init", "FileOwner.number", "ProcFile.process", "ProcFile.thread", "PidFile.process",
        "PidFile.thread", "UnixCredentials.process", "SemaphoreUndo.thread", "QueueNotification.process", "Terminal.session", "Terminal.foreground",
    ]
    private static let others: Set<String> = [
        // Numbers of tasks outside of the tree, or of the time of the checkpoint.
        "Header.outside_session", "Header.outside_group", "SemaphoreSet.users",
        // Of nested pid namespaces, which have their old numbers; and which one of a list.
        "Process.inner_pids", "Process.inner_groups", "Process.inner_sessions", "Thread.inner_tids", "Process.pid_namespace",
        // Groups of packet sockets, and of receivers in a network.
        "PacketSocket.fanout", "MulticastGroup.group",
        "OpenFile.offset", "OpenFile.owner_signal", "FileOwner.type",
        "Namespaces.mount", "Namespaces.pid_for_children", "MountNamespace.proc_namespace",
        // Ids of records.
        "Namespace.id", "Namespace.owner", "Namespace.parent", "FileIdentity.mount_namespace",
        // Users and groups of users.
        "MemoryObject.owner", "MemoryObject.group", "SemaphoreSet.owner", "SemaphoreSet.group",
        "Credentials.real_user", "Credentials.effective_user", "Credentials.saved_user", "Credentials.file_system_user",
        "Credentials.real_group", "Credentials.effective_group", "Credentials.saved_group", "Credentials.file_system_group",
        "Credentials.groups", "Terminal.owner", "Terminal.group", "UnixName.owner", "UnixName.group", "UnixCredentials.group",
        // Where something lies, and what reads it by its own checksum only.
        "IndexEntry.id", "PageDescription.owner", "PageDescription.id", "PageDescription.pages", "PageDescription.parent", "AddressSpace.auxiliary_vector",
        "Tail.pages",
        // Random bytes that tell one image from another, and what one image says of its parent.
        "Header.identity",
        "MessageQueue.owner", "MessageQueue.group", "SharedSegment.owner", "SharedSegment.group", "QueueFile.owner", "QueueFile.group", "Process.login_user",
        "MemoryObject.name", "Process.start_time", "Process.exit_signal", "Process.oom_score_adjustment", "Process.command",
        "Thread.parent_death_signal",
        // An address: the word there is the program's.
        "Thread.clear_child_tid",
        // A copy of a word in the program's own memory, where the number stays, too.
        "RobustWord.value",
    ]

    /// A field that may be the number of a task, by its name and comment, is translated or known to be none.
    @Test func everyNumberOfTheFormatIsKnown() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Protos")
        let words = [
            "pid", "pids", "tid", "parent", "session", "group", "leader", "sender", "owner", "siginfo_t", "clockid_t",
        ]
        let types: Set = ["uint32", "uint64", "sint32", "sint64", "int32", "int64", "fixed32", "fixed64", "bytes"]
        var seen: Set<String> = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name.hasSuffix(".proto") {
            var message = ""
            for line in try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8).split(separator: "\n") {
                let parts = line.split(separator: " ").map(String.init)
                if parts.first == "message" { message = parts[1] }
                let field = parts.first == "repeated" ? parts.dropFirst() : parts[...]
                guard line.hasPrefix("  "), field.count > 3, types.contains(field.first ?? ""), field.dropFirst(2).first == "=" else { continue }
                let known = "\(message).\(field.dropFirst().first ?? "")"
                seen.insert(known)
                let text = line.lowercased().split { !$0.isLetter }.map(String.init)
                guard text.contains(where: { words.contains($0) }) else { continue }
                #expect(
                    Self.translated.contains(known) || Self.others.contains(known),
                    "\(known): if it is the number of a task, Renumbering has to translate it; then name it here")
            }
        }
        #expect(seen.count > 100)
        let scalars = Self.translated.union(Self.others).subtracting([
            "Process.pending", "Process.posix_timers", "Thread.cpu", "Thread.pending", "PageDescription.owner",
        ])
        #expect(scalars.isSubset(of: seen), "gone: \(scalars.subtracting(seen))")
    }
}
