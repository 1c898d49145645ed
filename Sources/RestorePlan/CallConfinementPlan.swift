import ArchState
package import CheckpointImage
import LinuxABI
import StepProgram

/// How the filters of a thread's system calls are put back: by the last calls that it makes before it goes on as it was.
///
/// The launchpad is gone by then, which a filter could forbid to unmap. What the calls read lies for a moment in memory of the process's
/// own, whose contents are put back afterwards. The oldest filter comes first; each call has to be one that the filters before it allow,
/// as it was when the program installed them.
///
/// - Source: seccomp(2).
package struct CallConfinementPlan: Sendable, Equatable {
    package struct Call: Sendable, Equatable {
        package var number: UInt64
        package var arguments: [UInt64]
        /// What lies at `room` meanwhile.
        package var data: [UInt8]
        package var note: String
    }

    /// Where the calls' data lie.
    package var room: UInt64
    package var calls: [Call]
    /// Bytes at `room` that are written over.
    package var size: Int { calls.map(\.data.count).max() ?? 0 }

    /// The structure in front of a program.
    private static let headSize: UInt64 = 16

    /// Numbers of calls by the table that the process's calls are of.
    private struct Numbers {
        var seccomp: UInt64
        var prctl: UInt64
        var capset: UInt64
        var architecture: UInt32

        init(is32Bit: Bool) {
            if is32Bit {
                (seccomp, prctl, capset, architecture) = (354, 172, 185, AuditArchitecture.AUDIT_ARCH_I386)
            } else {
                func number(_ call: SystemCall) -> UInt64 { UInt64(call.number(on: .host)) }
                (seccomp, prctl, capset) = (number(.seccomp), number(.prctl), number(.capset))
                #if arch(arm64)
                    architecture = AuditArchitecture.AUDIT_ARCH_AARCH64
                #else
                    architecture = AuditArchitecture.AUDIT_ARCH_X86_64
                #endif
            }
        }
    }

    /// - Returns: nil for a thread without filters, and where there is an obstacle to them.
    init?(_ thread: ImageThread, _ image: CheckpointImage, _ facts: HostFacts) {
        guard case .success(let plan?) = Self.plan(thread, image, facts) else { return nil }
        self = plan
    }

    private init(room: UInt64, calls: [Call]) {
        self.room = room
        self.calls = calls
    }

    struct Obstacle: Error {
        var reason: String
        var help: String
    }

    /// Nil: the thread has no filters.
    static func plan(_ thread: ImageThread, _ image: CheckpointImage, _ facts: HostFacts) -> Result<Self?, Obstacle> {
        let records = thread.callFilters.compactMap { image.callFilter($0) }
        guard !records.isEmpty, let process = image.process(thread.process), let space = image.addressSpace(of: process) else { return .success(nil) }
        let numbers = Numbers(is32Bit: space.is32Bit)
        if records[0].strict {
            guard !facts.numbers.isUnderFilter else {
                return .failure(Obstacle(reason: "is in the strict mode of seccomp, which a task cannot take that has a filter, as crrestart has", help: "run crrestart without a seccomp filter"))
            }
            let arguments = [Prctl.PR_SET_SECCOMP, Seccomp.SECCOMP_MODE_STRICT, 0, 0, 0]
            return .success(Self(room: 0, calls: [Call(number: numbers.prctl, arguments: arguments, data: [], note: "PR_SET_SECCOMP: the strict mode")]))
        }
        if facts.isInOwnUserNamespace && process.dumpable != 1 {
            return .failure(
                Obstacle(reason: "has seccomp filters and cannot be looked into (PR_SET_DUMPABLE), so that they cannot be put back without privilege", help: "be root"))
        }
        guard mayInstall(thread, facts) else {
            return .failure(
                Obstacle(reason: "has seccomp filters that it got from a task with more privilege: it may gain privileges itself (no no_new_privs)", help: "CAP_SYS_ADMIN is needed"))
        }
        let most = records.map(\.program.count).max() ?? 0
        guard let room = room(for: most + Int(headSize), in: space) else {
            return .failure(Obstacle(reason: "has seccomp filters, and no \(most + Int(headSize)) bytes of private memory that it may write", help: ""))
        }
        var calls: [Call] = []
        var before: [SeccompFilter] = []
        // Where the vdso is: filters that look at the place of a call let through what the program called there itself.
        let place = space.mappings.first { $0.kind == .vdsoCode }?.start ?? 0
        func isAllowed(_ call: Call) -> Bool {
            var seen = SeccompFilter.Call(UInt32(truncatingIfNeeded: call.number), on: numbers.architecture, call.arguments)
            seen.instructionPointer = place
            return SeccompFilter.allow(seen, before)
        }
        for (index, record) in records.enumerated() {
            guard let filter = record.filter else { continue }
            let ways = installations(of: record, at: room, numbers, is32Bit: space.is32Bit)
            guard let call = ways.first(where: isAllowed) else {
                return .failure(Obstacle(reason: "has \(records.count) seccomp filters, of which number \(index + 1) cannot be put back: those before it do not let it", help: ""))
            }
            calls.append(call)
            before.append(filter)
        }
        if keepsPrivilege(thread, facts) {
            let drop = capabilities(thread.credentials, at: room, numbers)
            guard isAllowed(drop) else {
                return .failure(
                    Obstacle(reason: "has seccomp filters that it got from a task with more privilege, and they do not let it give that up (capset)", help: "be root, and let the program have no_new_privs"))
            }
            calls.append(drop)
        }
        return .success(Self(room: room, calls: calls))
    }

    /// In the order in which they are tried. The mitigations that a filter brings along (without SECCOMP_FILTER_FLAG_SPEC_ALLOW) are
    /// attributes of the thread, which has got them already as it had them.
    private static func installations(of record: ImageCallFilter, at room: UInt64, _ numbers: Numbers, is32Bit: Bool) -> [Call] {
        var data: [UInt8] = []
        // struct sock_fprog: u16 length, then a pointer on its own boundary.
        if is32Bit {
            data.append(littleEndian: UInt64(record.length) | (room + headSize) << 32)
        } else {
            data.append(littleEndian: UInt64(record.length))
            data.append(littleEndian: room + headSize)
        }
        data += [UInt8](repeating: 0, count: Int(headSize) - data.count) + record.program.asBytes
        let note = "seccomp: \(record.summary)"
        let logs = record.logs ? Seccomp.SECCOMP_FILTER_FLAG_LOG : 0
        var ways = [logs | Seccomp.SECCOMP_FILTER_FLAG_SPEC_ALLOW, logs].map { flags in
            Call(number: numbers.seccomp, arguments: [Seccomp.SECCOMP_SET_MODE_FILTER, flags, room], data: data, note: note)
        }
        if !record.logs {
            ways.append(Call(number: numbers.prctl, arguments: [Prctl.PR_SET_SECCOMP, Seccomp.SECCOMP_MODE_FILTER, room], data: data, note: note))
        }
        return ways
    }

    /// capset(2): header of version 3, then two halves of effective, permitted, inheritable.
    private static func capabilities(_ wanted: ImageCredentials, at room: UInt64, _ numbers: Numbers) -> Call {
        var data: [UInt8] = []
        data.append(littleEndian: UInt64(CapabilityVersion._LINUX_CAPABILITY_VERSION_3))
        data.append(littleEndian: 0)
        for shift in [UInt64(0), 32] {
            for set in [wanted.effective, wanted.permitted, wanted.inheritable] { data.append(littleEndian32: UInt32(truncatingIfNeeded: set >> shift)) }
        }
        return Call(number: numbers.capset, arguments: [room, room + headSize], data: data, note: "capabilities")
    }

    /// Where bytes of a process can be written over for a moment: private memory that it may read and write, without guard pages.
    private static func room(for size: Int, in space: ImageAddressSpace) -> UInt64? {
        let guards = zip(space.guardPage, space.guardLength).map { ($0 &* 4096, ($0 &+ $1) &* 4096) }
        let droppable: UInt64 = 1 << UInt64(ImageMappingFlag.droppable.rawValue)
        let usable = space.mappings.filter { mapping in
            !mapping.shared && mapping.protection & 3 == 3 && mapping.end - mapping.start >= UInt64(size) && mapping.flags & droppable == 0
                && (mapping.kind == .anonymous || mapping.kind == .file) && !guards.contains { $0.0 < mapping.end && $0.1 > mapping.start }
        }
        return (usable.first { $0.kind == .anonymous } ?? usable.first)?.start
    }

    /// Whether a thread may install filters in the end, with the privilege that it keeps until then.
    private static func mayInstall(_ thread: ImageThread, _ facts: HostFacts) -> Bool {
        thread.noNewPrivileges || thread.credentials.effective & admin != 0 || keepsPrivilege(thread, facts)
    }

    private static let admin = Capability.set(Capability.CAP_SYS_ADMIN)

    /// Whether a thread keeps CAP_SYS_ADMIN until its filters are there: those of containers are installed before the program gives up
    /// its privileges.
    static func keepsPrivilege(_ thread: ImageThread, _ facts: HostFacts) -> Bool {
        !thread.callFilters.isEmpty && !thread.noNewPrivileges && thread.credentials.effective & admin == 0
            && facts.ownCredentials.effective & facts.ownCredentials.permitted & admin != 0
    }

    /// Capabilities that a thread has until its filters are there, besides its own.
    static func keptPrivilege(_ thread: ImageThread, _ image: CheckpointImage, _ facts: HostFacts) -> UInt64 {
        let isStrict = thread.callFilters.first.flatMap(image.callFilter)?.strict ?? false
        return keepsPrivilege(thread, facts) && !isStrict ? admin : 0
    }

    /// Finds filters that cannot be put back.
    static func check(_ image: CheckpointImage, _ facts: HostFacts, _ findings: inout HostFindings) {
        for thread in image.threads where !thread.callFilters.isEmpty {
            if case .failure(let obstacle) = plan(thread, image, facts) {
                findings.find("thread \(thread.tid) \(thread.name.asText)", obstacle.reason, help: obstacle.help)
            }
        }
    }
}

extension RestorePlan {
    /// By what calls a thread of the image gets its filters; nil: it has none.
    package func confinement(ofThread number: Int) -> CallConfinementPlan? {
        CallConfinementPlan(valid.image.threads[number], valid.image, valid.facts)
    }

    /// What `crrestart --dry-run` prints of the calls that come after the programs.
    func confinementLines() -> [String] {
        let lines = tasks.flatMap { task -> [String] in
            guard let number = task.thread, let plan = confinement(ofThread: number) else { return [] }
            return ["task \(task.title)  when all is done"] + plan.calls.map { "      \($0.note)" }
        }
        return lines
    }
}
