internal import Kernel
internal import LinuxABI
internal import StepProgram

/// Why an address space is not copied: pure.
struct CopyObstacles {
    private let sight: TreeSight
    private let permits: CallConfinement
    private let processes: [HostPid: ProcessSight]
    /// Processes of the tree that may adopt the orphans of their descendants (PR_SET_CHILD_SUBREAPER).
    private let adopters: Set<HostPid>
    /// By pid namespace: its init, where that is in the tree.
    private let inits: [Int: HostPid]

    static let ofFilter = Refusal("has a seccomp filter that forbids the calls by which its memory is copied")
    static let otherNamespace = Refusal("has unshared the namespace of its children (CLONE_NEWPID, CLONE_NEWTIME): a copy would be born in it")
    static let sealed = Refusal("has sealed memory that children do not get (mseal with MADV_DONTFORK or MADV_WIPEONFORK)")
    static let tooMany = Refusal("has more than \(CopyProgram.mostExcluded) ranges that children do not get (MADV_DONTFORK, MADV_WIPEONFORK)")

    /// - Parameter unasked: what threads could not be asked.
    init(
        _ sight: TreeSight, _ permits: CallConfinement, _ answers: [ProcessAnswers],
        unasked: [HostPid: Set<Question>]
    ) {
        self.sight = sight
        self.permits = permits
        processes = Dictionary(sight.processes.map { ($0.pid, $0) }) { first, _ in first }
        var adopters: Set<HostPid> = []
        for (process, answer) in zip(sight.processes, answers)
        where answer.childSubreaper || unasked[process.door.tid]?.contains(.subreaper) == true {
            adopters.insert(process.pid)
        }
        self.adopters = adopters
        var inits: [Int: HostPid] = [:]
        for process in sight.processes where process.status.value.namespaceProcessIDs.last == 1 { inits[process.pidNamespace] = process.pid }
        self.inits = inits
    }

    /// - Parameter process: the process that is to make the copy.
    func obstacle(of space: Int, _ process: ProcessSight) -> Refusal? {
        let own = process.door.namespaces
        if own.pidForChildren != process.pidNamespace || own.timeForChildren != own.time { return Self.otherNamespace }
        if let adopter = adopter(of: process) {
            return Refusal(
                "would leave its copy to \(adopter.pid) \(printable(adopter.stat.value.comm)), which adopts orphans of the tree",
                help: "an init or a subreaper outside of the tree is needed")
        }
        let maps = sight[space: space].maps.value.maps
        let excluded = CopyProgram.excluded(in: maps)
        if excluded.count > CopyProgram.mostExcluded { return Self.tooMany }
        let isSealed = maps.contains { map in
            map.flags.contains(.sealed) && excluded.contains { $0.start <= map.start && map.end <= $0.end }
        }
        return isSealed ? Self.sealed : nil
    }

    /// Why the door of a process may not make the calls; nil: it may.
    func confinement(_ process: ProcessSight, _ program: CopyProgram, in place: InjectionPlace) -> Refusal? {
        let tid = process.door.tid
        return program.program.steps.allSatisfy { permits.allows($0, tid, in: place) } ? nil : Self.ofFilter
    }

    /// The process of the tree to which an orphan of a process would go: the nearest subreaper above it, itself among them, or the init of its
    /// pid namespace.
    ///
    /// - Source: kernel/exit.c, `find_new_reaper`.
    private func adopter(of process: ProcessSight) -> ProcessSight? {
        var next: ProcessSight? = process
        var steps = 0
        while let one = next, one.pidNamespace == process.pidNamespace, steps <= sight.processes.count {
            if adopters.contains(one.pid) { return one }
            next = processes[HostPid(one.stat.value.parent)]
            steps += 1
        }
        return inits[process.pidNamespace].flatMap { processes[$0] }
    }
}
