import ArchState
import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// A small tree and a host that can run it; each test changes one thing.
struct Sample {
    var records = ImageRecords()
    var facts = HostFacts()
    var options = RestartOptions()

    init() {
        records.header.formatVersion = ImageFormat.version
        records.header.architecture = "x86_64"
        records.header.pageSize = 4096
        records.header.root = 100
        records.header.vdso.codeSize = 8192
        addNamespace(.pid)
        records.namespaces[0].isSurrounding = true
        addProcess(100, parent: 0)
        addProcess(101, parent: 100)
        facts.architecture = "x86_64"
        facts.vdso = records.header.vdso
        facts.cpu = CPUOffer(features: CPUOffer.everywhere)
        facts.hardLimits = [UInt64](repeating: .max, count: 16)
        facts.vdsoParts = [
            HostFacts.Range(start: 0x7000_0000_0000, end: 0x7000_0000_4000),
            HostFacts.Range(start: 0x7000_0000_4000, end: 0x7000_0000_6000),
        ]
        for path in ["/bin/prog", "/"] {
            facts.files[Array(path.utf8)] = .success(HostFacts.File(size: 10, modified: 5, mode: path == "/" ? 0o040755 : 0o100755, buildID: []))
        }
    }

    /// With memory, descriptors, directories and signal actions of its own: their ids are the pid.
    mutating func addProcess(_ pid: UInt32, parent: UInt32) {
        var process = ImageProcess()
        process.pid = pid
        process.parent = parent
        process.group = 100
        process.session = 100
        process.exitSignal = 17
        process.pidNamespace = 1
        process.executable = program
        process.command = [UInt8]("prog".utf8).asData
        records.processes.append(process)
        var thread = ImageThread()
        thread.tid = pid
        thread.process = pid
        thread.addressSpace = pid
        thread.fileTable = pid
        thread.directories = pid
        thread.actions = pid
        var general = X86GeneralRegisters()
        general.rip = 0x40_0000
        thread.cpu = Self.cpu(general)
        records.threads.append(thread)
        var space = ImageAddressSpace()
        space.id = pid
        var text = ImageMapping()
        text.start = 0x40_0000
        text.end = 0x40_1000
        text.protection = 5
        text.kind = .file
        text.file = program
        var data = ImageMapping()
        data.start = 0x50_0000
        data.end = 0x50_4000
        data.protection = 1
        data.kind = .anonymous
        var vvar = ImageMapping()
        vvar.start = 0x7fff_0000_0000
        vvar.end = 0x7fff_0000_4000
        vvar.kind = .vdsoData
        var vdso = ImageMapping()
        vdso.start = 0x7fff_0000_4000
        vdso.end = 0x7fff_0000_6000
        vdso.kind = .vdsoCode
        space.mappings = [text, data, vvar, vdso]
        space.runPage = [0x501]
        space.runLength = [2]
        records.addressSpaces.append(space)
        var table = ImageFileTable()
        table.id = pid
        records.fileTables.append(table)
        addDirectories(pid, working: "/")
        var actions = ImageSignalActions()
        actions.id = pid
        records.signalActions.append(actions)
    }

    mutating func addDirectories(_ id: UInt32, working: String, root: String = "/") {
        var directories = ImageDirectories()
        directories.id = id
        directories.working.path = Array(working.utf8).asData
        directories.root.path = Array(root.utf8).asData
        records.directories.append(directories)
    }

    /// - Returns: its id, one more than that of the last.
    @discardableResult mutating func addNamespace(_ kind: ImageNamespace.Kind, parent: UInt32 = 0) -> UInt32 {
        var namespace = ImageNamespace()
        namespace.id = UInt32(records.namespaces.count + 1)
        namespace.kind = kind
        namespace.parent = parent
        records.namespaces.append(namespace)
        return namespace.id
    }

    /// Gives the threads of a process what the first thread of another one has: `\.addressSpace` and the like.
    mutating func share(_ things: [WritableKeyPath<ImageThread, UInt32>], of owner: UInt32, by pid: UInt32) {
        guard let first = records.threads.first(where: { $0.tid == owner }) else { return }
        for index in records.threads.indices where records.threads[index].process == pid {
            for thing in things { records.threads[index][keyPath: thing] = first[keyPath: thing] }
        }
    }

    /// The action of a signal in the process with this index.
    mutating func act(_ index: Int, on signal: UInt32, handler: UInt64, _ change: (inout ImageSignalAction) -> Void = { _ in }) {
        var action = ImageSignalAction()
        action.signal = signal
        action.handler = handler
        change(&action)
        records.signalActions[index].actions.append(action)
    }

    /// What is at a path on this host.
    mutating func found(_ path: String, _ file: HostFacts.File) { facts.files[Array(path.utf8)] = .success(file) }
    mutating func missing(_ path: String, _ errno: String) { facts.files[Array(path.utf8)] = .failure(MissingFile(errno: errno)) }

    private var program: ImageFileIdentity {
        var identity = ImageFileIdentity()
        identity.path = [UInt8]("/bin/prog".utf8).asData
        identity.size = 10
        identity.modified = 5
        identity.mode = 0o100755
        return identity
    }

    /// An open file that both processes hold at 5, and the child at 6, too.
    mutating func shareFile() {
        var file = ImageOpenFile()
        file.id = 1
        file.flags = 0o102001
        file.offset = 1234
        file.named.identity.path = [UInt8]("/log".utf8).asData
        file.named.identity.mode = 0o100644
        records.openFiles = [file]
        found("/log", HostFacts.File(size: 2000, modified: 0, mode: 0o100644, buildID: []))
        for (index, numbers) in [[5], [5, 6]].enumerated() {
            for number in numbers {
                var descriptor = ImageDescriptor()
                descriptor.number = UInt32(number)
                descriptor.file = 1
                records.fileTables[index].descriptors.append(descriptor)
            }
        }
    }

    /// After the other threads of its process, with all that the first one has.
    mutating func addThread(_ tid: UInt32, of pid: UInt32) {
        guard let leader = records.threads.firstIndex(where: { $0.tid == pid }) else { return }
        var thread = records.threads[leader]
        thread.tid = tid
        let after = records.threads[leader...].prefix { $0.process == pid }.endIndex
        records.threads.insert(thread, at: after)
    }

    func image() throws -> CheckpointImage {
        var image = try CheckpointImage(validating: records)
        for (index, space) in records.addressSpaces.enumerated() {
            image.add(
                PageSection(
                    owner: PageOwner(.addressSpace, space.id), pages: space.runLength.reduce(0, +), offset: UInt64(4096 * (index + 1) * 4),
                    checksums: [0]))
        }
        for (index, set) in records.sharedPages.enumerated() {
            image.add(
                PageSection(
                    owner: PageOwner(.sharedPages, set.id), pages: set.runLength.reduce(0, +), offset: UInt64(1 << 20 + 4096 * index * 4),
                    checksums: [0]))
        }
        return image
    }

    func valid() throws -> ValidImage { try ValidImage(try image(), on: facts, options: options) }

    /// The findings' lines; empty if it is accepted.
    func findings() throws -> [String] {
        do {
            _ = try valid()
            return []
        } catch let refusal as ValidImage.Refusal { return refusal.findings.map(\.line) }
    }
}

extension Sample {
    /// The records of a thread that has these registers, and nothing else.
    static func cpu(_ general: X86GeneralRegisters) -> [ImageCpuRecord] {
        CPUState(generalRegisters: general).records.map {
            var record = ImageCpuRecord()
            record.feature = $0.feature
            record.body = $0.body.asData
            return record
        }
    }

    /// An open file at (process, descriptor) places, ascending. Gives its index.
    mutating func addFile(_ object: ImageOpenFile.OneOf_Object, at places: [(process: Int, number: UInt32)]) -> Int {
        var file = ImageOpenFile()
        file.id = UInt32(records.openFiles.count + 1)
        file.object = object
        records.openFiles.append(file)
        for place in places {
            var descriptor = ImageDescriptor()
            descriptor.number = place.number
            descriptor.file = file.id
            records.fileTables[place.process].descriptors.append(descriptor)
        }
        return records.openFiles.count - 1
    }

    mutating func watch(_ epoll: Int, _ file: UInt32, number: UInt32, events: UInt32, data: UInt64) {
        var one = ImageRegistration()
        one.number = number
        one.file = file
        one.events = events
        one.data = data
        records.openFiles[epoll].epoll.registrations.append(one)
    }

    static func timer(_ id: UInt32) -> ImagePosixTimer {
        var timer = ImagePosixTimer()
        timer.id = id
        timer.clock = 1
        timer.signal = 14
        timer.value = 0xabc
        timer.remaining = 3_000_000_005
        return timer
    }

    /// siginfo_t: number, errno, code SI_TIMER; at 16 the timer.
    static func timerSignal(_ id: UInt32) -> ImagePendingSignal {
        var info: [UInt8] = []
        for word in [14, 0, UInt32(bitPattern: -2), 0, id] { info.append(littleEndian32: word) }
        var signal = ImagePendingSignal()
        signal.info = (info + [UInt8](repeating: 0, count: 128 - info.count)).asData
        return signal
    }
}

extension Sample {
    /// Without any capability.
    static var ordinaryUser: ImageCredentials {
        var user = ImageCredentials()
        (user.realUser, user.effectiveUser, user.savedUser, user.fileSystemUser) = (1000, 1000, 1000, 1000)
        (user.realGroup, user.effectiveGroup, user.savedGroup, user.fileSystemGroup) = (100, 100, 100, 100)
        user.groups = [24, 100]
        user.bounding = 1 << 41 - 1
        return user
    }
}
