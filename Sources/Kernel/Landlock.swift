internal import CKernel
internal import Glibc
internal import LinuxABI

/// Landlock: rules that a task gives to itself and its descendants, and that cannot be taken back or read.
///
/// - Source: landlock(7).
package enum Landlock {
    /// Whether this kernel has it.
    @inline(never)
    package static var isEnabled: Bool {
        let version = 1  // LANDLOCK_CREATE_RULESET_VERSION
        return ckernel_syscall(Int(SYS_landlock_create_ruleset), 0, 0, version, 0, 0, 0) > 0
    }

    /// A child of this process that has confined itself and waits to be killed.
    ///
    /// - If this process dies meanwhile: so does the child.
    @inline(never)
    static func confinedChild() throws(SystemError) -> Int32 {
        let (read, write) = try DescriptorTable.pipe()
        defer { DescriptorTable.close(read) }
        let (child, parent): (Int32, Int32)
        do throws(SystemError) { (parent, child) = (Processes.ownPid, try Processes.fork()) } catch {
            DescriptorTable.close(write)
            throw error
        }
        if child == 0 {
            _ = ckernel_prctl(Int(Prctl.PR_SET_PDEATHSIG), Int(SIGKILL), 0, 0, 0)
            // It can have died before.
            if Processes.parentPid != parent { Processes.exitNow(1) }
            _ = ckernel_prctl(Int(Prctl.PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0)
            // struct landlock_ruleset_attr: of what is to be forbidden, to execute files.
            var handled: UInt64 = 1
            let rules = unsafe withUnsafeMutablePointer(to: &handled) { pointer in
                ckernel_syscall(Int(SYS_landlock_create_ruleset), Int(bitPattern: pointer), 8, 0, 0, 0, 0)
            }
            if rules < 0 || ckernel_syscall(Int(SYS_landlock_restrict_self), rules, 0, 0, 0, 0, 0) != 0 { Processes.exitNow(1) }
            Channel.send([1], over: write)
            while true { Waiting.pause(atMost: 1_000_000_000) }
        }
        DescriptorTable.close(write)
        if Channel.awaitByte(read) { return child }
        end(child)
        throw SystemError(Errno.EPERM, in: "landlock_restrict_self")
    }

    static func end(_ child: Int32) {
        guard Processes.endsByKill(child) else { return }
        while let report = try? Waiting.wait(child, block: true), !report.status.isDead {}
    }
}

/// Where the running kernel keeps what ``SecurityProgram`` reads. Offsets in bytes.
struct SecurityLayout: Equatable, Sendable {
    // In struct task_struct.
    var task: Int
    var credentials: Int
    // In struct cred.
    var security: Int

    init(_ kernel: KernelLayout) throws(SystemError) {
        task = try kernel.offset("task_struct", "pid")
        credentials = try kernel.offset("task_struct", "cred")
        security = try kernel.offset("cred", "security")
        guard task < 1 << 15 else { throw malformed("BTF: task_struct") }
    }
}

/// The BPF program that reads the first words of what security modules keep with the credentials of a task. Which of them
/// is Landlock's pointer to the domain is not written anywhere; see ``RestartBlockProbe/confined(among:)``.
///
/// ```
/// r6 = context, r7 = task (end if null), r8 = sequence file, r9 = an address
/// record = nine words: tid, then eight of the security modules
/// ```
struct SecurityProgram {
    static let words = 8
    static let recordSize = 8 * (1 + words)
    let code: BPFCode

    init(_ layout: SecurityLayout) {
        let record = -Self.recordSize
        let address = record - 8
        var program = BPFAssembler()
        var end = BPFAssembler.Label()
        program.beginAnyTask(end: &end)
        for offset in stride(from: address, to: 0, by: 8) { program.emit(.storeImmediate8, 10, offset: offset) }
        program.emit(.load4, 1, source: 7, offset: layout.task)
        program.emit(.store8, 10, source: 1, offset: record)
        for offset in [layout.credentials, layout.security] {
            program.read(8, to: address, from: offset == layout.credentials ? 7 : 9, offset: offset)
            program.emit(.load8, 9, source: 10, offset: address)
        }
        // Fewer words where they end at the end of a page that is not there: then none are told.
        program.read(8 * Self.words, to: record + 8, from: 9)
        program.write(Self.recordSize, at: record)
        program.finish(end: end)
        code = program.code
    }

    static func decode(_ bytes: [UInt8]) -> [(task: Int32, words: [UInt64])] {
        stride(from: 0, to: bytes.count - recordSize + 1, by: recordSize).map { at in
            (
                Int32(truncatingIfNeeded: littleEndian8(bytes, at: at)),
                (1...words).map { littleEndian8(bytes, at: at + 8 * $0) }
            )
        }
    }
}

extension RestartBlockProbe {
    /// Those of some tasks that are in a Landlock domain. Nil: the kernel does not tell.
    ///
    /// Landlock's word of each task is compared with that of this process.
    package func confined(among tasks: [Int32]) -> Set<Int32>? {
        guard let own = words(of: [Processes.ownPid])?[Processes.ownPid], let found = words(of: tasks) else { return nil }
        guard found.values.contains(where: { $0 != own }) else { return [] }
        guard let domainPlace else { return nil }
        return Set(found.filter { $0.value[domainPlace] != 0 && $0.value[domainPlace] != own[domainPlace] }.keys)
    }

    /// A child that has confined itself shows which word is Landlock's.
    func findDomainPlace() -> Int? {
        guard let own = words(of: [Processes.ownPid])?[Processes.ownPid], let child = try? Landlock.confinedChild() else { return nil }
        defer { Landlock.end(child) }
        return words(of: [child])?[child].flatMap { Self.place(ofDomain: $0, without: own) }
    }

    /// The first word that differs and can be an address of the kernel.
    static func place(ofDomain confined: [UInt64], without own: [UInt64]) -> Int? {
        confined.indices.first { confined[$0] != own[$0] && confined[$0] >> 63 == 1 }
    }
}
