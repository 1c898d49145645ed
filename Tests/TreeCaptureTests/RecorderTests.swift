import CheckpointImage
import Kernel
import Testing

@testable import TreeCapture

/// These sights give these records.
@Suite struct RecorderTests {
    @Test func pipeline() throws {
        let recorded = try Recordings.pipeline().recorded()
        #expect(recorded.findings.isEmpty)
        let image = try recorded.validated()
        #expect(image.processes.map(\.command.asText) == ["python3", "sleep", "cat", "python3"])
        let root = image.processes[0]
        #expect(image.processes.map(\.parent) == [0, root.pid, root.pid, root.pid])
        // Both commands hold one end of the same pipe.
        let sleep = try #require(image.fileTable(of: try recorded.process("sleep")))
        let cat = try #require(image.fileTable(of: try recorded.process("cat")))
        let output = try #require(sleep.descriptors.first { $0.number == 1 })
        let input = try #require(cat.descriptors.first { $0.number == 0 })
        guard case .pipeEnd(let write)? = image.openFile(output.file)?.object, case .pipeEnd(let read)? = image.openFile(input.file)?.object
        else {
            Issue.record("no pipe between the two")
            return
        }
        #expect(write.writeEnd && !read.writeEnd && write.pipe == read.pipe)
        #expect(image.pipes.map(\.capacity) == [65536] && image.pipes[0].contents.isEmpty)
        // One process has the shell's descriptors beside its own ends of pipes: each has a table of its own.
        #expect(Set(recorded.records.threads.map(\.fileTable)).count == 3)
    }

    @Test func zombie() throws {
        let recorded = try Recordings.pipeline().recorded()
        let zombie = try #require(recorded.records.processes.first { $0.state == .zombie })
        #expect(zombie.exitStatus == 3 << 8)
        #expect(recorded.threads(of: zombie).isEmpty)
        #expect(zombie.pidNamespace == recorded.records.processes[0].pidNamespace)
    }

    /// crcheckpoint, where it belongs to the tree: it lives, and has ended in the image.
    @Test func checkpointer() throws {
        var recording = try Recordings.pipeline()
        recording.sight.zombies[0].endsWith = Checkpointer.status
        let zombie = try #require(recording.recorded().records.processes.first { $0.state == .zombie })
        #expect(zombie.exitStatus == 75 << 8)
        // One that has ended sends nothing: it has.
        let parent = try #require(recording.sight.processes.first { $0.pid == HostPid(recording.sight.zombies[0].stat.value.parent) })
        recording.sight.zombies[0].endsWith = nil
        #expect(Checkpointer.endSignal(of: recording.sight.zombies[0], to: parent, pending: []) == nil)
    }

    /// Sharing is told per thread.
    @Test func threadsThatHaveLeftSomething() throws {
        let recording = try Recordings.files()
        let recorded = recording.recorded()
        #expect(recorded.findings.isEmpty)
        let image = try recorded.validated()
        let threads = Array(image.threads(of: image.root.pid))
        #expect(threads.count == 3)
        #expect(Set(threads.map(\.addressSpace)).count == 1 && Set(threads.map(\.actions)).count == 1)
        // The second one has directories of its own, the third one descriptors.
        #expect(threads[1].directories != threads[0].directories && threads[2].directories == threads[0].directories)
        #expect(threads[1].fileTable == threads[0].fileTable && threads[2].fileTable != threads[0].fileTable)
        let own = try #require(image.ownDirectories(of: threads[1]))
        #expect(own.working.path.asText == "/tmp" && own.umask == 0o077)
        let table = try #require(image.ownFileTable(of: threads[2]))
        let first = try #require(image.fileTable(of: image.root))
        // It has closed one and duplicated another one, all other descriptors lead to the same open files.
        let numbers = Set(table.descriptors.map(\.number))
        #expect(numbers.contains(50) && Set(first.descriptors.map(\.number)).subtracting(numbers).count == 1)
        for descriptor in table.descriptors where descriptor.number != 50 {
            #expect(first.descriptors.contains { $0.number == descriptor.number && $0.file == descriptor.file })
        }
        // Threads that pthread_create(3) made share a list of operations to undo.
        #expect(Set(threads.map(\.undo)).count == 1 && threads[0].undo != 0)
    }

    @Test func nestedPidNamespace() throws {
        let recorded = try Recordings.namespace().recorded()
        #expect(recorded.findings.isEmpty, "\(recorded.findings.map(\.line))")
        let image = try recorded.validated()
        let (outer, shell) = (image.processes[0], try recorded.process("sh"))
        let pids = recorded.records.namespaces.filter { $0.kind == .pid }
        #expect(pids.map(\.id) == [outer.pidNamespace, shell.pidNamespace])
        #expect(pids[0].isSurrounding && pids[0].pid.init_p == 0)
        #expect(!pids[1].isSurrounding && pids[1].parent == pids[0].id && pids[1].pid.init_p == shell.pid)
        #expect(shell.innerPids == [1])
        // Its children are born there, and the /proc of its mount namespace shows it.
        #expect(recorded.threads(of: outer)[0].namespaces.pidForChildren == pids[1].id)
        let mount = try #require(recorded.records.namespaces.first { $0.id == recorded.threads(of: shell)[0].namespaces.mount })
        #expect(mount.kind == .mount && mount.mount.procNamespace == pids[1].id && !mount.isSurrounding)
        // unshare(1) has entered the mount namespace itself.
        #expect(recorded.threads(of: outer)[0].namespaces.mount == mount.id)
    }

    /// Of every kind of namespace there is one record, that of crcheckpoint here.
    @Test func everyKindOfNamespaceHasARecord() throws {
        let recorded = try Recordings.pipeline().recorded()
        let all = recorded.records.namespaces
        let kinds: Set<ImageNamespace.Kind> = [.mount, .pid, .network, .ipc, .hostName, .user, .cgroup, .time]
        #expect(Set(all.map(\.kind)) == kinds && all.count == 8)
        #expect(all.map(\.isSurrounding) == Array(repeating: true, count: 8))
        #expect(all.map(\.id) == Array(1...8))
        for thread in recorded.records.threads {
            let names = thread.namespaces
            let ids = [names.mount, names.network, names.ipc, names.hostName, names.user, names.cgroup, names.time]
            #expect(ids.allSatisfy { $0 != 0 } && names.timeForChildren == names.time)
            #expect(names.pidForChildren == recorded.records.processes[0].pidNamespace)
        }
    }

    @Test func header() throws {
        let recording = try Recordings.pipeline()
        let header = recording.recorded().records.header
        #expect(header.formatVersion == ImageFormat.version && header.architecture == "x86_64")
        #expect(header.root == UInt32(recording.sight.root.rawValue))
        #expect(header.begin.monotonic == recording.sight.instant.monotonic)
        #expect(header.cgroupSets.count == 1)
        // The tests' shell was in the session and group of a program outside.
        #expect(header.outsideSession != 0 && header.outsideGroup != 0)
    }

    @Test func withoutAnswersThereAreNoThreads() throws {
        let recorded = Recorder.records(try Recordings.pipeline().sight)
        #expect(recorded.records.threads.isEmpty && recorded.pages.isEmpty && recorded.findings.isEmpty)
        #expect(recorded.records.processes.count == 4)
    }

    @Test func pages() throws {
        var recording = try Recordings.files()
        let spaces = recording.sight.spaces.count
        recording.memory = MemorySight(
            spaces: Array(repeating: [.init(page: 16, count: 2), .init(page: 20, count: 1)], count: spaces),
            objects: recording.sight.objects.map { _ in [.init(page: 0, count: 1)] })
        let recorded = recording.recorded()
        #expect(recorded.records.addressSpaces[0].runPage == [16, 20] && recorded.records.addressSpaces[0].runLength == [2, 1])
        #expect(recorded.pages.first == PageOrigin(owner: .object(1), source: .file(recording.sight.objects[0].link.bytes)))
        #expect(recorded.pages.last == PageOrigin(owner: .space(1), source: .task(recording.sight.spaces[0].holder)))
    }

    /// A signal that was delivered while the tasks were asked has made the stack grow.
    @Test func mappingsThatHaveChangedSinceTheSight() throws {
        var recording = try Recordings.files()
        let stack = try #require(recording.sight.spaces[0].maps.value.maps.last { $0.path.elementsEqual("[stack]".utf8) })
        let text = String(decoding: recording.sight.spaces[0].maps.raw.bytes, as: UTF8.self)
        let grown = text.replacing(String(stack.start, radix: 16), with: String(stack.start - 4096, radix: 16))
        recording.memory = MemorySight(
            spaces: [[]], objects: [], changed: [.init(space: 1, maps: try Seen(Array(grown.utf8)))])
        let recorded = recording.recorded()
        #expect(recorded.records.addressSpaces[0].mappings.contains { $0.start == stack.start - 4096 && $0.end == stack.end })
        #expect(recorded.records.addressSpaces[0].currentBreak == recording.answers?.processes[0].currentBreak)
    }
}
