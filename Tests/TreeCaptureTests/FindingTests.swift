import CheckpointImage
import Kernel
import LinuxABI
import Testing

@testable import TreeCapture

/// These sights give these findings: a recording in which one thing is changed.
@Suite struct FindingTests {
    struct Change: CustomTestStringConvertible, Sendable {
        var object: String
        var reason: String
        var change: @Sendable (inout Recording) throws -> Void
        var testDescription: String { reason }

        init(_ object: String, _ reason: String, _ change: @escaping @Sendable (inout Recording) throws -> Void) {
            self.object = object
            self.reason = reason
            self.change = change
        }
    }

    /// Changes text of the kernel, and parses it anew.
    static func replace<Value>(_ seen: inout Seen<Value>, _ old: String, _ new: String) throws {
        let text = String(decoding: seen.raw.bytes, as: UTF8.self)
        #expect(text.contains(old), "\(old) is not in\n\(text)")
        seen = try Seen(Array(text.replacing(old, with: new).utf8))
    }

    private static func limit(_ recording: inout Recording, _ name: String, _ soft: Int) throws {
        let limits = recording.sight.processes[0].limits
        let lines = String(decoding: limits.raw.bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        let index = try #require(lines.firstIndex { $0.hasPrefix(name) })
        var changed = lines.map(String.init)
        changed[index] = changed[index].replacing("unlimited", with: "\(soft)", maxReplacements: 1)
        recording.sight.processes[0].limits = try Seen(Array(changed.joined(separator: "\n").utf8))
    }

    /// Gives the heap another name.
    private static func name(_ new: String) -> @Sendable (inout Recording) throws -> Void {
        { try replace(&$0.sight.spaces[0].maps, "[heap]", new) }
    }

    /// Changes a flag of the first mapping that has the usual ones.
    private static func flags(_ new: String) -> @Sendable (inout Recording) throws -> Void {
        { try replace(&$0.sight.spaces[0].maps, "VmFlags: rd mr mw me", "VmFlags: \(new) rd mr mw me") }
    }

    static let mappings = [
        Change("mapping", "is a private mapping of a file in the huge page pool", flags("ht")),
        Change("mapping", "maps a device", flags("io")),
        Change("mapping", "is served by userfaultfd", flags("um")),
        Change("mapping", "is a shadow stack", flags("ss")),
        Change("mapping", "has memory tags", flags("mt")),
        Change("mapping 0x7f0000000000", "has the NUMA policy bind:1") { recording in
            recording.sight.spaces[0].memoryPolicies = MemoryPolicy.parse(
                Array("00400000 default file=/bin/x mapped=1\n7f0000000000 bind:1 anon=3 N1=3\n".utf8))
        },
        Change("task", "has no room for 64 KiB of working memory below its limit RLIMIT_AS of 5000000 bytes") { recording in
            try limit(&recording, "Max address space", 5_000_000)
        },
        Change("task", "has no room for 64 KiB of working memory below its limit RLIMIT_DATA of 4096 bytes") { recording in
            try limit(&recording, "Max data size", 4096)
        },
        Change("/SYSV", "is System V shared memory from the huge page pool") { recording in
            let index = try #require(recording.sight.objects.firstIndex { $0.isMemory })
            recording.sight.objects[index].name = "/SYSV00000001"
            recording.sight.objects[index].hugePageSize = 2 << 20
        },
        Change("mapping", "has flags that this version does not know: zz", flags("zz")),
        Change("mapping", "has protection key 3") { recording in
            try replace(&recording.sight.spaces[0].maps, "VmFlags: rd mr mw me", "ProtectionKey: 3\nVmFlags: rd mr mw me")
        },
        Change("mapping", "is System V shared memory") { try replace(&$0.sight.spaces[0].maps, "[heap]", "/SYSV00000000 (deleted)") },
        Change("mapping", "is the ring of asynchronous input and output (io_setup)", name("/[aio] (deleted)")),
        Change("mapping", "is a ring of io_uring", name("anon_inode:[io_uring]")),
        Change("mapping", "is the buffer of a performance counter", name("anon_inode:[perf_event]")),
        Change("mapping", "is the ring of a packet or XDP socket", name("socket:[4711]")),
        Change("mapping", "is secret memory (memfd_secret)", name("/secretmem (deleted)")),
        Change("mapping", "is memory of a virtual machine", name("anon_inode:kvm-vcpu:0")),
        Change("mapping", "is memory that the kernel shares with the program", name("anon_inode:dmabuf")),
        Change("mapping", "is memory that cannot be opened once more: ENXIO") { recording in
            let index = try #require(recording.sight.spaces[0].details.firstIndex { $0.object != nil })
            recording.sight.spaces[0].details[index].object = nil
            recording.sight.spaces[0].details[index].obstacle = "ENXIO"
        },
        Change("mapping", "holds user-space probes") { try replace(&$0.sight.spaces[0].maps, "[heap]", "[uprobes]") },
        Change("mapping", "is shared memory that crcheckpoint may not look into") { recording in
            let index = try #require(recording.sight.spaces[0].details.firstIndex { $0.object != nil })
            recording.sight.spaces[0].details[index].object = nil
            recording.sight.spaces[0].details[index].isForbidden = true
        },
        Change("mapping", "is another vdso than ours") { $0.sight.spaces[0].vdsoHeader = "none" },
        Change("mapping", "is that of a 32-bit program, and this kernel does not tell what it is like") { recording in
            var header = recording.sight.spaces[0].vdsoHeader?.bytes ?? []
            (header[4], header[18]) = (1, 3)
            recording.sight.spaces[0].vdsoHeader = RawText(header)
        },
    ]

    static let tasks = [
        Change("task", "runs under another personality") { $0.sight.processes[0].personality = 6 },
        Change("task", "has a seccomp filter, which only CAP_SYS_ADMIN lets be read") { recording in
            recording.sight.host.mayReadFilters = false
            try replace(&recording.sight.processes[0].status, "Seccomp:\t0", "Seccomp:\t2")
        },
        Change("thread", "has a seccomp filter, which only CAP_SYS_ADMIN lets be read") { recording in
            recording.sight.host.mayReadFilters = false
            var status = try #require(recording.sight.processes[0].threads[1].status)
            try replace(&status, "Seccomp:\t0", "Seccomp:\t2")
            recording.sight.processes[0].threads[1].status = status
        },
        Change("task", "is frozen by the cgroup freezer of /frozen") { $0.sight.cgroups[0].freezer = "/frozen" },
        Change("thread", "has utilisation clamps") { $0.sight.processes[0].threads[1].scheduling.policy.maximumUtilization = 100 },
        Change("program", "the file has been removed or replaced since it was started") { $0.sight.processes[0].executable.status.inode += 1 },
        Change("root directory", "has been removed") { $0.sight.directories[0].root.isDeleted = true },
        Change("working directory", "is another directory now") { recording in
            let place = recording.sight.directories[0].working
            recording.sight.names.removeAll { $0.path == place.path }
            recording.sight.names.append(NameSight(path: place.path, status: nil))
        },
        Change("working directory of thread", "a path of more than 4096 bytes") { $0.sight.directories[1].working.isTooLong = true },
        Change("thread", "has another root directory than its process") { $0.sight.directories[1].root.path = "/srv" },
        Change("task", "shares memory (CLONE_VM) with 77 other, which is not in the tree") { recording in
            recording.sight.sharers = [SharerSight(pid: HostPid(77), command: "other", object: "memory", task: recording.sight.root)]
        },
        Change("timer 4", "runs on the CPU time of a thread, and the kernel does not tell of which one") {
            $0.sight.processes[0].posixTimers = try Seen(Array(timer(clock: -2).utf8))
        },
        Change("timer 4", "runs on the CPU time of 99, another process") {
            $0.sight.processes[0].posixTimers = try Seen(Array(timer(clock: ~99 << 3 | 2).utf8))
        },
        Change("timer 4", "runs on the clock of a device") { $0.sight.processes[0].posixTimers = try Seen(Array(timer(clock: ~5 << 3 | 3).utf8)) },
        Change("task", "has segments of its own (modify_ldt)") { $0.answers?.processes[0].hasLocalDescriptors = true },
        Change("task", "has tags in its addresses") { $0.answers?.processes[0].addressMask = 0x81ff_ffff_ffff_ffff },
        Change("thread", "shares its core with chosen tasks only") { $0.sight.processes[0].threads[0].hasCoreCookie = true },
        Change("message queue 3", "cannot be read: EACCES") { recording in
            recording.sight.messageQueues = [
                MessageQueueSight(
                    number: 3, key: 7, mode: 0o600, owner: 0, group: 0, limit: 100, messages: [], user: recording.sight.root,
                    failure: Failure(SystemError(Errno.EACCES, in: "msgrcv")))
            ]
        },
        Change("task", "has no vdso") { $0.answers?.processes[0].refusals = [Refusal("has no vdso")] },
        Change("thread", "uses a segment of its own") { $0.answers?.threads[1].refusals = [Refusal("uses a segment of its own (modify_ldt)")] },
        Change("thread", "has a processor state that cannot be saved") { $0.answers?.threads[1].extendedState = "short" },
        Change("semaphore set 7", "cannot be read: EACCES") { recording in
            recording.sight.semaphoreSets = [semaphoreSet(failure: Failure(SystemError(Errno.EACCES, in: "semctl")))]
            try wait(forSet: 7, &recording)
        },
    ]

    private static func timer(clock: Int32, notify: String = "signal/pid.1") -> String {
        "ID: 4\nsignal: 10/0000000000000001\nnotify: \(notify)\nClockID: \(clock)\n"
    }

    private static func semaphoreSet(changer: HostPid = HostPid(0), failure: Failure? = nil) -> SemaphoreSetSight {
        SemaphoreSetSight(
            number: 7, key: 0, mode: 0o600, owner: 0, group: 0, values: failure == nil ? [1] : [], changers: [changer], failure: failure)
    }

    /// Lets the first thread be in semop(2), 65 on x86_64, with its first argument in rdi.
    private static func wait(forSet number: UInt8, _ recording: inout Recording) throws {
        guard var answers = recording.answers else { throw Unexpected() }
        var registers = answers.threads[0].registers.bytes
        registers.replaceSubrange(14 * 8..<16 * 8, with: [number, 0, 0, 0, 0, 0, 0, 0, 65, 0, 0, 0, 0, 0, 0, 0])
        answers.threads[0].registers = RawText(registers)
        recording.answers = answers
    }

    @Test(arguments: descriptors + mappings + tasks) func finding(_ change: Change) throws {
        var recording = try Recordings.files()
        try change.change(&recording)
        let findings = recording.recorded().findings
        #expect(
            findings.contains { $0.object.hasPrefix(change.object) && $0.reason.contains(change.reason) && $0.pid == recording.sight.root },
            "\(findings.map(\.line))")
    }

    static let namespaces = [
        Change("task", "lives in a pid namespace (pid:[4]) whose init is not in the tree") { recording in
            recording.sight.processes.removeAll { $0.status.value.namespaceProcessIDs.last == 1 }
            let place = recording.sight.processes[1].pidNamespace
            recording.sight.namespaces[place - 1].link = "pid:[4]"
        },
        Change("task", "is the init of a pid namespace inside of one (pid:[3]) whose init is not in the tree") { recording in
            let place = recording.sight.processes[1].pidNamespace
            recording.sight.namespaces[place - 1].parent = "pid:[3]"
        },
        Change("thread", "has a pid namespace for its children (pid:[5]) in which no process of the tree is") { recording in
            recording.sight.namespaces.append(NamespaceSight(kind: .pid, link: "pid:[5]", isOwn: false))
            recording.sight.processes[1].threads[0].namespaces.pidForChildren = recording.sight.namespaces.count
        },
        Change("task", "is the init of a pid namespace and was stopped") { $0.sight.processes[1].stopSignal = Signal.SIGSTOP },
        Change("task", "lives in another mnt namespace, which cannot be saved yet") { recording in
            let place = recording.sight.processes[1].threads[0].namespaces.mount
            var mounts = try #require(recording.sight.namespaces[place - 1].mounts)
            mounts = try Seen(mounts.raw.bytes + Array("900 1 0:90 / /mnt rw - tmpfs none rw\n".utf8))
            recording.sight.namespaces[place - 1].mounts = mounts
        },
        Change("task", "has a /proc with options that cannot be saved yet: hidepid=2") { recording in
            let place = recording.sight.processes[1].threads[0].namespaces.mount
            let extra = Array("901 1 0:91 / /proc rw - proc proc rw,hidepid=2\n".utf8)
            let mounts = try #require(recording.sight.namespaces[place - 1].mounts)
            recording.sight.namespaces[place - 1].mounts = try Seen(mounts.raw.bytes + extra)
        },
        Change("task", "lives in another net namespace") { recording in
            recording.sight.namespaces.append(NamespaceSight(kind: .network, link: "net:[5]", isOwn: false))
            recording.sight.processes[1].threads[0].namespaces.network = recording.sight.namespaces.count
        },
        Change("task", "has made a time namespace for its children") { recording in
            recording.sight.namespaces.append(NamespaceSight(kind: .time, link: "time:[5]", isOwn: false))
            recording.sight.processes[1].threads[0].namespaces.timeForChildren = recording.sight.namespaces.count
        },
        Change("task", "lives in another time namespace than the root") { recording in
            recording.sight.namespaces.append(NamespaceSight(kind: .time, link: "time:[5]", isOwn: false))
            recording.sight.processes[1].threads[0].namespaces.time = recording.sight.namespaces.count
        },
        Change("task", "shares descriptors or directories by clone flags in a tree with a /proc of its own") { recording in
            recording.sight.processes[2].threads[0].table = recording.sight.processes[1].threads[0].table
        },
        Change("thread", "shares descriptors (CLONE_FILES) with") { recording in
            var other = recording.sight.processes[1].threads[0]
            other.tid = HostPid(12345)
            other.table = recording.sight.processes[2].threads[0].table
            recording.sight.processes[1].threads.append(other)
        },
    ]

    @Test(arguments: namespaces) func findingInNamespaces(_ change: Change) throws {
        var recording = try Recordings.namespace()
        recording.answers = nil
        try change.change(&recording)
        let findings = recording.recorded().findings
        #expect(findings.contains { $0.object.hasPrefix(change.object) && $0.reason.contains(change.reason) }, "\(findings.map(\.line))")
    }

    /// Only a process without threads, which shares the list with no other one, is refused: all that
    /// pthread_create(3) has made a thread for have such a list.
    @Test func operationsToUndo() throws {
        var recording = try Recordings.pipeline()
        recording.sight.semaphoreSets = [Self.semaphoreSet(changer: recording.sight.root)]
        #expect(recording.recorded().records.semaphoreSets.map(\.number) == [7] && recording.recorded().findings.isEmpty)
        recording.sight.processes[0].threads[0].undo = 1
        #expect(recording.recorded().findings.map(\.reason) == ["may have semaphore operations to undo at its end (SEM_UNDO), which cannot be saved"])
        recording.sight.processes[1].threads[0].undo = 1
        #expect(recording.recorded().findings.isEmpty && recording.recorded().notices.count == 2)
        // Where the kernel's memory can be read it is known.
        recording.sight.semaphoreUndo = []
        #expect(recording.recorded().findings.isEmpty && recording.recorded().notices.isEmpty)
        let root = recording.sight.root
        recording.sight.semaphoreSets = [Self.semaphoreSet()]
        recording.sight.semaphoreUndo = [SemaphoreUndoSight(pid: root, tid: root, set: 7, adjustments: [2])]
        let set = try #require(recording.recorded().records.semaphoreSets.first)
        #expect(recording.recorded().findings.isEmpty && set.undo.map(\.adjustments) == [[2]])
        #expect(set.undo.map(\.thread) == [recording.recorded().records.header.root])
        recording.sight.semaphoreUndo = [SemaphoreUndoSight(pid: root, tid: root, set: nil, adjustments: [])]
        #expect(recording.recorded().findings.map(\.object) == ["semaphore set of another ipc namespace"])
        recording.sight.semaphoreUndo = [SemaphoreUndoSight(pid: root, tid: root, set: 7, adjustments: [2, -1])]
        recording.sight.semaphoreSets = [Self.semaphoreSet(failure: Failure(SystemError(Errno.EACCES, in: "semctl")))]
        #expect(recording.recorded().findings.map(\.reason) == ["cannot be read: EACCES"])
    }

    @Test func ringsOfAsynchronousInput() throws {
        func reason(_ ring: AsynchronousRingSight) -> String? { ring.obstacle(length: 0x2000, isAsMade: true)?.reason }
        var ring = AsynchronousRingSight(address: 0x1000)
        #expect(reason(ring)?.contains("inherited") == true)
        ring.requests = 4
        ring.events = 255
        #expect(reason(ring) == nil)
        #expect(ring.obstacle(length: 0x1000, isAsMade: true)?.reason.contains("changed the mapping") == true)
        ring.underWay = 3
        #expect(reason(ring)?.hasSuffix("with 3 requests under way") == true)
        ring.underWay = 0
        ring.unread = RawText([UInt8](repeating: 0, count: 32 * 128))
        #expect(reason(ring)?.contains("128 events that have not been read") == true)
        ring.failure = Failure(SystemError(Errno.EPERM, in: "bpf"))
        #expect(ring.obstacle(length: 0x2000, isAsMade: true)?.help.contains("CAP_BPF") == true)
    }

    @Test func semaphoreSetThatAThreadWaitsFor() throws {
        var recording = try Recordings.files()
        recording.sight.semaphoreSets = [Self.semaphoreSet()]
        #expect(recording.recorded().records.semaphoreSets.isEmpty)
        try Self.wait(forSet: 7, &recording)
        let set = try #require(recording.recorded().records.semaphoreSets.first)
        #expect(set.number == 7 && set.values == [1] && set.users == [UInt32(recording.sight.root.rawValue)])
    }

    /// Names never reach a terminal as they are.
    @Test func namesAreEscaped() throws {
        var recording = try Recordings.files()
        recording.sight.processes[0].stat = try Seen(
            recording.sight.processes[0].stat.raw.bytes.replacing(Array("(python3)".utf8), with: Array("(a\u{1b}[2J\nb)".utf8)))
        recording.sight.processes[0].personality = 6
        let finding = try #require(recording.recorded().findings.first)
        #expect(finding.command == "a\\e[2J\\nb" && !finding.line.contains("\u{1b}"))
    }
}
