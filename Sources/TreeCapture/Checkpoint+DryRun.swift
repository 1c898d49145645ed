internal import Kernel
package import RestorePlan

extension Checkpoint {
    /// Looks for what cannot be saved, without stopping anything.
    ///
    /// - Returns: also why it could not be restarted here, as far as that can be told without asking the tasks.
    package func dryRun() throws(CaptureError) -> (findings: [Finding], restart: [HostFinding], notices: [String], result: Result) {
        try checkRoot()
        let relatives = Relatives(of: HostPid(options.root))
        let entries: [ProcessTree.Entry]
        do throws(SystemError) { entries = Checkpointer.withoutOwn(try ProcessTree().entries(below: options.root), checkpointer) } catch {
            throw CaptureError(cannot: "look for the processes of \(options.root)", error, help: "")
        }
        var members = TreeMembers(root: options.root, checkpointer: checkpointer)
        for entry in entries {
            let pid = HostPid(entry.pid)
            if entry.stat.isZombie && entry.stat.threadCount <= 1 || entry.pid == checkpointer {
                members.zombies.append(pid)
                continue
            }
            members.processes.append(pid)
            let living = entry.tasks.filter { !(entry.stat.isZombie && $0 == entry.pid) }
            members.threads[pid] = living.map { TreeMembers.Thread(tid: HostPid($0), stopSignal: nil) }
        }
        var sight = try TreeSight.look(at: members, on: HostSight.look(), at: TimeStamp(), relatives: relatives, connections: options.connections)
        sight.carry(options.carried)
        if !options.external.isEmpty { sight.external = options.external }
        let recorder = Recorder(sight)
        let memory = try MemorySight.look(at: sight, recorder.tables)
        try record(Recording(sight: sight, memory: memory))
        let recorded = recorder.records(nil, memory)
        var result = Result()
        result.processes = entries.count
        result.tasks = members.threadCount
        result.bytes = memory.bytes
        return (recorded.findings, obstacles(to: sight, memory), recorded.notices, result)
    }
}
