internal import Kernel
internal import LinuxABI

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
                    pid: HostPid(task.process), command: printable(command), object: "task",
                    reason: "is frozen by the cgroup freezer of \(place)", help: "thaw it for the checkpoint"))
        }
        return findings.sorted { ($0.pid, $0.reason) < ($1.pid, $1.reason) }
    }
}
