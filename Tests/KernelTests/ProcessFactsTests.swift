import CKernel
import Glibc
import Testing

@testable import Kernel

/// What the readers of `/proc` say about this process and its children.
@Suite struct ProcessFactsTests {
    @Test func ownStatAndStatus() throws {
        let stat = try ProcessStat(of: getpid())
        let status = try TaskStatus(of: getpid())
        #expect(stat.pid == getpid() && status.processID == getpid())
        #expect(stat.parent == getppid() && status.parent == getppid())
        #expect(stat.group == getpgrp() && stat.session == getsid(0))
        #expect(status.users[0] == getuid() && status.users[1] == geteuid())
        #expect(status.threadCount > 0)
        let task = try TaskStatus(of: getpid(), task: getpid())
        #expect(task.taskID == getpid())
    }

    @Test func missingProcessIsGone() {
        func expectGone(_ read: () throws -> Void) {
            #expect { try read() } throws: { ($0 as? SystemError)?.isGone == true }
        }
        expectGone { _ = try ProcessStat(of: 4_194_303) }
        expectGone { _ = try tasks(of: 4_194_303) }
        expectGone { _ = try ProcessTree(usingChildrenFiles: false).processes(below: 4_194_303) }
        expectGone { _ = try ProcessTree(usingChildrenFiles: true).processes(below: 4_194_303) }
    }

    /// What was kept is what the processor says.
    @Test(arguments: [0, 1, 7, 0xd, 0x8000_0001] as [UInt32]) func processorAnswers(leaf: UInt32) {
        for subleaf in 0...(leaf == 0xd ? 63 : 1) as ClosedRange<UInt32> {
            for _ in 0..<2 {
                let (kept, asked) = (CPUIdentification.registers(leaf: leaf, subleaf: subleaf), CPUIdentification.ask(leaf: leaf, subleaf: subleaf))
                #expect(kept.eax == asked.eax && kept.ecx == asked.ecx && kept.edx == asked.edx, "\(subleaf)")
                // In leaf 1 the number of the processor is there.
                #expect(leaf == 1 || kept.ebx == asked.ebx, "\(subleaf)")
            }
        }
    }

    /// The mapping that an address is in, and whether it can be written.
    @Test(.enabled(if: knowsMappingQuery, "wants PROCMAP_QUERY (Linux 6.11)")) func mappings() throws {
        let vdsoAddress = Self.vdsoAddress
        let constant = try MappingQuery(at: vdsoAddress, of: getpid())
        #expect(constant.name.elementsEqual("[vdso]".utf8) && !constant.isWritable && constant.range.contains(vdsoAddress))
        var word = 0
        let stack = unsafe withUnsafePointer(to: &word) { UInt64(UInt(bitPattern: $0)) }
        #expect(try MappingQuery(at: stack, of: getpid()).isWritable)
    }

    /// AT_SYSINFO_EHDR
    private static let vdsoAddress = ckernel_auxiliary_value(33)
    private static let knowsMappingQuery = (try? MappingQuery(at: vdsoAddress, of: getpid())) != nil

    @Test func ownLists() throws {
        #expect(try allProcesses().contains(getpid()))
        #expect(try tasks(of: getpid()).contains(getpid()))
        let file = try Descriptor.open("/dev/null")
        #expect(try descriptors(of: getpid()).contains(file.number))
        #expect(try descriptorTarget(of: getpid(), file.number) == Array("/dev/null".utf8))
        let info = try DescriptorInfo(of: getpid(), descriptor: file.number)
        #expect(info.isCloseOnExec && info.position == 0)
    }

    @Test func longLinkIsWhole() throws {
        let name = "/tmp/treerestore-link-\(getpid())"
        let target = String(repeating: "0123456789/", count: 300)
        #expect(symlink(target, name) == 0)
        defer { unlink(name) }
        #expect(try readLink(name) == Array(target.utf8))
    }

    @Test func ownMappings() throws {
        let detailed = try MemoryMap.detailed(of: getpid())
        let plain = try MemoryMap.plain(of: getpid())
        #expect(detailed.contains { $0.path == Array("[stack]".utf8) && $0.flags.contains(.growsDown) })
        #expect(plain.contains { $0.path == Array("[stack]".utf8) })
        #expect(detailed.allSatisfy { $0.unknownFlags.isEmpty })
        #expect(zip(detailed, detailed.dropFirst()).allSatisfy { $0.end <= $1.start })
    }

    @Test func ownLimits() throws {
        let limits = try ResourceLimit.all(of: getpid())
        var limit = rlimit()
        #expect(getrlimit(__rlimit_resource_t(7), &limit) == 0)
        #expect(
            limits[7]
                == ResourceLimit(resource: 7, soft: UInt64(limit.rlim_cur), hard: UInt64(limit.rlim_max)))
    }

    @Test func treeByBothWays() throws {
        // A shell that waits for two sleeping children.
        let shell = try Child.spawn(["/bin/sh", "-c", "sleep 60 & sleep 60 & wait"])
        defer { Child.end(shell) }
        var tree: [Int32] = []
        for _ in 0..<500 where tree.count < 3 {
            usleep(10_000)
            tree = try ProcessTree(usingChildrenFiles: false).processes(below: shell)
        }
        defer { for pid in tree.dropFirst() { kill(pid, SIGKILL) } }
        #expect(tree.count == 3 && tree.first == shell)
        #expect(try ProcessTree().processes(below: shell) == tree)
    }

    @Test func forkCounterMoves() throws {
        let before = try forkCount()
        Child.end(try Child.spawn(["/bin/true"]))
        #expect(try forkCount() > before)
        #expect(try parseForkCount(Array("cpu  1 2\nprocesses_x 3\nprocesses 4711\n".utf8)) == 4711)
        #expect(throws: SystemError.self) { try parseForkCount(Array("cpu  1 2\n".utf8)) }
    }

    @Test func host() throws {
        #expect(try bootID().count == 36)
        let identity = KernelIdentity.current()
        #expect(identity.system == "Linux" && !identity.release.isEmpty && !identity.machine.isEmpty)
        #expect(SystemClock.boottime.now() >= SystemClock.monotonic.now() - 1_000_000_000)
        #expect(SystemClock.realtime.now() > 1_600_000_000_000_000_000)
    }

    @Test func vdsoIsAnELFFile() throws {
        guard let vdso = try Vdso.current() else { return }
        #expect(vdso.dataStart < vdso.codeStart)
        #expect(try Vdso.find(in: MemoryMap.plain(of: getpid())) == vdso)
        let bytes = vdso.codeBytes()
        #expect(UInt64(bytes.count) == vdso.codeEnd - vdso.codeStart)
        #expect(bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]))
        let buildID = try BuildID.find { offset, count throws(SystemError) in
            Array(bytes[Int(offset)...].prefix(count))
        }
        #expect(buildID != nil)
    }

    @Test func scheduling() throws {
        #expect(try SchedulingPolicy(of: 0).nice == getpriority(__priority_which_t(0), 0))
        #expect(try affinity(of: 0).contains { $0 != 0 })
        _ = try diskPriority(of: 0)
        #expect(try timerSlack(of: gettid()) > 0)
        #expect((-1000...1000).contains(try memoryKillAdjustment(of: getpid())))
        #expect(try personality(of: getpid()) == UInt32(bitPattern: Int32(personalityOfThis())))
        #expect(try !hasPosixTimers(getpid()))
        #expect(try RobustList(of: 0).length == 24)
    }

    private func personalityOfThis() -> Int { ckernel_syscall(135, 0xffff_ffff, 0, 0, 0, 0, 0) }

    @Test func sharedObjects() throws {
        let file = try Descriptor.open("/dev/null")
        let other = try Descriptor.open("/dev/null")
        let copy = try Descriptor.open(process: getpid()).duplicate(remote: file.number)
        #expect(try compare(.openFile, of: getpid(), file.number, with: getpid(), copy.number) == .same)
        #expect(try compare(.openFile, of: getpid(), file.number, with: getpid(), other.number) != .same)
        #expect(try compare(.memory, of: getpid(), with: getpid()) == .same)
        #expect(throws: SystemError.self) { try compare(.openFile, of: getpid(), 9999, with: getpid(), 0) }
    }

    @Test func capabilityNames() {
        #expect(Capabilities.name(of: 21) == "CAP_SYS_ADMIN")
        #expect(Capabilities.name(of: 200) == "CAP_200")
        #expect(Capabilities.bit(of: "cap_sys_admin") == 21)
        #expect(Capabilities.bit(of: "cap_of_nothing") == nil)
        #expect(Capabilities.names(of: 0b11) == ["CAP_CHOWN", "CAP_DAC_OVERRIDE"])
    }

    @Test func capabilitySetsAgreeWithProc() throws {
        let status = try TaskStatus(of: getpid(), task: gettid())
        #expect(Capabilities.currentEffective == status.effectiveCapabilities)
        #expect(Capabilities.currentPermitted == status.permittedCapabilities)
        #expect(Capabilities.currentBounding == status.boundingCapabilities)
    }
}

private func gettid() -> Int32 { Int32(ckernel_syscall(186, 0, 0, 0, 0, 0, 0)) }

@Suite struct FileFactsTests {
    @Test func statusOfFilesAndLinks() throws {
        let name = "/tmp/treerestore-status-\(getpid())"
        let link = name + ".link"
        do {
            let file = try Descriptor.open(name, O_RDWR | O_CREAT, mode: 0o600)
            defer { unlink(link) }
            try file.write([1, 2, 3])
            #expect(symlink(name, link) == 0)
            let status = try FileStatus(of: file)
            #expect(status.kind == .regular && status.size == 3 && status.linkCount == 1)
            #expect(status.mode & 0o777 == 0o600 && status.owner == geteuid())
            #expect(status.modificationTime > 1_600_000_000_000_000_000)
            #expect(try FileStatus(of: link).isSameFile(as: status))
            #expect(try FileStatus(of: link, followingLinks: false).kind == .link)
            #expect(try FileStatus(ofDescriptor: file.number, of: getpid()) == status)
            #expect(unlink(name) == 0)
            #expect(try FileStatus(of: file).linkCount == 0)
        }
        let null = try FileStatus(of: "/dev/null")
        #expect(null.kind == .characterDevice && null.specialDevice == deviceNumber(major: 1, minor: 3))
        #expect(throws: SystemError(ENOENT, in: "stat \(name)")) { try FileStatus(of: name) }
    }

    /// ELF header, one program header, two notes of which the second is the build-id.
    static func elf(wide: Bool, big: Bool) -> [UInt8] {
        func number(_ value: UInt64, _ size: Int) -> [UInt8] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
            return big ? bytes.reversed() : bytes
        }
        let word = wide ? 8 : 4
        let headerSize = UInt64(wide ? 64 : 52)
        let entrySize = UInt64(wide ? 56 : 32)
        var notes = number(2, 4) + number(1, 4) + number(7, 4) + [0x41, 0, 0, 0] + [9, 0, 0, 0]
        notes += number(4, 4) + number(20, 4) + number(3, 4) + Array("GNU\0".utf8) + Array(1...20)
        var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, big ? 2 : 1, 1]
        file += [UInt8](repeating: 0, count: 9)
        file += number(3, 2) + number(62, 2) + number(1, 4)  // type, machine, version
        file += number(0, word) + number(headerSize, word) + number(0, word)  // entry, tables
        file += number(0, 4) + number(headerSize, 2) + number(entrySize, 2) + number(1, 2)  // counts
        file += number(0, 6)  // sections
        precondition(file.count == Int(headerSize))
        let offset = number(headerSize + entrySize, word)
        let size = number(UInt64(notes.count), word)
        file += number(4, 4)  // PT_NOTE
        if wide {
            file += number(4, 4) + offset + number(0, 16) + size + size + number(4, 8)
        } else {
            file += offset + number(0, 8) + size + size + number(4, 4) + number(4, 4)
        }
        return file + notes
    }

    private func find(in file: [UInt8]) throws(SystemError) -> [UInt8]? {
        try BuildID.find { offset, count throws(SystemError) in
            offset < UInt64(file.count) ? Array(file[Int(offset)...].prefix(count)) : []
        }
    }

    @Test(arguments: [true, false], [true, false])
    func buildID(wide: Bool, big: Bool) throws {
        #expect(try find(in: Self.elf(wide: wide, big: big)) == Array(1...20))
    }

    @Test func damagedFilesHaveNoBuildID() throws {
        let file = Self.elf(wide: true, big: false)
        for end in file.indices { #expect(try find(in: Array(file[..<end])) == nil) }
        // No byte set to all ones may trap.
        for index in file.indices {
            var damaged = file
            damaged[index] = 0xff
            _ = try find(in: damaged)
        }
    }

    @Test func buildIDOfTheShell() throws {
        #expect(try BuildID.read(from: "/bin/sh")?.count == 20)
        #expect(try BuildID.read(from: "/etc/passwd") == nil)
    }
}

@Suite struct PageMapTests {
    @Test func entries() {
        let frame: UInt64 = 77
        let present = PageMapEntry(1 << 63 | 5)
        #expect(present.isToBeSaved(fileBacked: false, zeroFrame: frame))
        #expect(present.isToBeSaved(fileBacked: true, zeroFrame: frame))
        let file = PageMapEntry(1 << 63 | 1 << 61 | 5)
        #expect(file.isToBeSaved(fileBacked: false, zeroFrame: frame))
        #expect(!file.isToBeSaved(fileBacked: true, zeroFrame: frame))
        let zero = PageMapEntry(1 << 63 | frame)
        #expect(!zero.isToBeSaved(fileBacked: false, zeroFrame: frame))
        #expect(zero.isToBeSaved(fileBacked: false, zeroFrame: 0))
        #expect(PageMapEntry(1 << 62).isToBeSaved(fileBacked: true, zeroFrame: 0))
        #expect(!PageMapEntry(1 << 62 | 1 << 58).isToBeSaved(fileBacked: false, zeroFrame: 0))
        #expect(!PageMapEntry(0).isToBeSaved(fileBacked: false, zeroFrame: 0))
    }

    @Test func runsMerge() {
        var runs = [PageRun(start: 0, length: 4096)]
        runs.append(PageRun(start: 4096, length: 4096), mergingFrom: 1)
        runs.append(PageRun(start: 8192, length: 4096), mergingFrom: 1)
        runs.append(PageRun(start: 16384, length: 4096), mergingFrom: 1)
        #expect(
            runs == [
                PageRun(start: 0, length: 4096), PageRun(start: 4096, length: 8192),
                PageRun(start: 16384, length: 4096),
            ])
    }

    static let methods = PageMapMethod.best == .entries ? [.entries] : [PageMapMethod.best, .entries]

    @Test(arguments: methods)
    func anonymousPages(method: PageMapMethod) throws {
        // Every second page of 2000 is written: more runs than one request gives. Another is only read.
        let size = Int(pageSize)
        let count = 2000
        let area = try #require(
            mmap(
                nil, count * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        )
        defer { munmap(area, count * size) }
        madvise(area, count * size, 15)  // MADV_NOHUGEPAGE
        for page in stride(from: 0, to: count - 10, by: 2) {
            area.storeBytes(of: 1, toByteOffset: page * size, as: UInt8.self)
        }
        for page in (count - 5)..<count { area.storeBytes(of: 1, toByteOffset: page * size, as: UInt8.self) }
        #expect(area.load(fromByteOffset: (count - 9) * size, as: UInt8.self) == 0)

        let start = UInt64(UInt(bitPattern: area))
        var (runs, guards): ([PageRun], [PageRun]) = ([], [])
        let map = try PageMap(of: getpid(), method: method)
        try map.changedRuns(start: start, end: start + UInt64(count * size), fileBacked: false, into: &runs, guards: &guards)
        var expected = stride(from: 0, to: count - 10, by: 2).map {
            PageRun(start: start + UInt64($0 * size), length: pageSize)
        }
        expected.append(PageRun(start: start + UInt64((count - 5) * size), length: 5 * pageSize))
        // Without privilege the entries do not tell the zero page.
        if method == .entries, PageMapMethod.zeroFrame == 0 {
            expected.insert(
                PageRun(start: start + UInt64((count - 9) * size), length: pageSize), at: expected.count - 1)
        }
        #expect(runs == expected)

        // Half an area gives half the runs.
        runs = []
        try map.changedRuns(
            start: start, end: start + UInt64(1000 * size), fileBacked: false, into: &runs, guards: &guards)
        #expect(runs.count == 500)
    }

    @Test(arguments: methods)
    func changedPagesOfAFile(method: PageMapMethod) throws {
        let size = Int(pageSize)
        let file = try Descriptor.open("/proc/self/exe")
        let area = try #require(mmap(nil, 8 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.number, 0))
        defer { munmap(area, 8 * size) }
        var sum = 0
        for page in 0..<8 { sum += Int(area.load(fromByteOffset: page * size, as: UInt8.self)) }
        area.storeBytes(of: 1, toByteOffset: 2 * size, as: UInt8.self)
        area.storeBytes(of: UInt8(truncatingIfNeeded: sum), toByteOffset: 3 * size, as: UInt8.self)
        let start = UInt64(UInt(bitPattern: area))
        let map = try PageMap(of: getpid(), method: method)
        var (runs, guards): ([PageRun], [PageRun]) = ([], [])
        try map.changedRuns(start: start, end: start + UInt64(8 * size), fileBacked: true, into: &runs, guards: &guards)
        #expect(runs == [PageRun(start: start + UInt64(2 * size), length: 2 * pageSize)])
    }

    @Test(arguments: methods)
    func guardPages(method: PageMapMethod) throws {
        let size = Int(pageSize)
        let area = try #require(
            mmap(nil, 8 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
        defer { munmap(area, 8 * size) }
        memset(area, 1, 8 * size)
        // MADV_GUARD_INSTALL, since 6.13; seen from outside since 6.15.
        guard madvise(area + 2 * size, size, 102) == 0, PageMapMethod.best == .scan(knowsGuards: true) else {
            return
        }
        let start = UInt64(UInt(bitPattern: area))
        let map = try PageMap(of: getpid(), method: method)
        var runs: [PageRun] = []
        try map.guardRuns(start: start, end: start + UInt64(8 * size), into: &runs)
        #expect(runs == [PageRun(start: start + UInt64(2 * size), length: pageSize)])
        // One look tells both.
        var guards: [PageRun] = []
        runs = []
        try map.changedRuns(start: start, end: start + UInt64(8 * size), fileBacked: false, into: &runs, guards: &guards)
        #expect(guards == [PageRun(start: start + UInt64(2 * size), length: pageSize)])
        #expect(
            runs == [
                PageRun(start: start, length: 2 * pageSize),
                PageRun(start: start + UInt64(3 * size), length: 5 * pageSize),
            ])
    }
}
