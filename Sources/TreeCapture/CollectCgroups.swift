internal import CheckpointImage
internal import Kernel

/// The control groups of a tree's tasks: most are in the same ones, each set is kept once.
struct CgroupIndex {
    private(set) var sets: [ImageCgroupSet] = []
    /// Threads that are elsewhere than the first of their process.
    var ofThread: [Int32: UInt32] = [:]
    private var numbers: [[UInt8]: UInt32] = [:]
    private var freezers: [UInt32: String] = [:]
    private var mounts: [CgroupMount]?

    /// The number of a set, from 1, by the text of `/proc/PID/cgroup`.
    mutating func number(of text: [UInt8]) throws(SystemError) -> UInt32 {
        if let known = numbers[text] { return known }
        let memberships = try CgroupMembership.parse(text)
        var set = ImageCgroupSet()
        set.cgroups = memberships.map { membership in
            var cgroup = ImageCgroup()
            cgroup.hierarchy = membership.hierarchy
            cgroup.path = Array(membership.path.utf8).asData
            return cgroup
        }
        sets.append(set)
        let number = UInt32(sets.count)
        numbers[text] = number
        if mounts == nil { mounts = try CgroupMount.all() }
        freezers[number] = mounts?.freezer(holding: memberships)
        return number
    }

    /// The cgroup whose freezer holds the tasks of a set.
    func freezer(of set: UInt32) -> String? { freezers[set] }
}

extension Collector {
    /// Where the process's tasks are. One that a freezer holds cannot be asked anything: it is refused.
    func collectCgroups(of pid: Int32, into process: inout ImageProcess) throws(SystemError) {
        let text = try cgroupText(of: pid)
        process.cgroupSet = try cgroups.number(of: text)
        var found: Set<UInt32> = [process.cgroupSet]
        let tasks = threads[pid] ?? []
        for task in tasks where task.tid != pid {
            let own = try cgroupText(of: pid, task: task.tid)
            if own == text { continue }
            let number = try cgroups.number(of: own)
            cgroups.ofThread[task.tid] = number
            found.insert(number)
        }
        for set in found.sorted() {
            guard let place = cgroups.freezer(of: set) else { continue }
            find(pid, "task", "is frozen by the cgroup freezer of \(place)", help: "thaw it for the checkpoint")
        }
    }
}

/// Tasks that do not stop because a freezer of cgroup v1 holds them. (That of v2 lets them stop for a tracer.)
enum FrozenTasks {
    static func findings(_ tasks: [FrozenTree.Task]) -> [Finding] {
        guard let mounts = try? CgroupMount.all() else { return [] }
        var findings: Set<Finding> = []
        for task in tasks {
            guard let text = try? cgroupText(of: task.process, task: task.tid),
                let place = mounts.freezer(holding: (try? CgroupMembership.parse(text)) ?? [])
            else { continue }
            let command = (try? ProcessStat(of: task.process))?.comm ?? []
            findings.insert(
                Finding(
                    pid: task.process, command: String(decoding: command, as: UTF8.self), object: "task",
                    reason: "is frozen by the cgroup freezer of \(place)", help: "thaw it for the checkpoint"))
        }
        return findings.sorted { ($0.pid, $0.reason) < ($1.pid, $1.reason) }
    }
}
