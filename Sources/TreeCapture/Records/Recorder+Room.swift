internal import Kernel
internal import LinuxABI

extension Recorder {
    /// What leaves no room for the working memory of an injected program, and policies that are not saved.
    ///
    /// - Parameter owner: a process with this memory; its limits are asked.
    mutating func checkRoom(_ space: SpaceSight, _ owner: ProcessSight?) {
        guard let owner else { return }
        let maps = space.maps.value.maps.filter { !$0.path.elementsEqual("[vsyscall]".utf8) }
        let all = maps.reduce(0) { $0 + $1.length }
        // Source: mm/mmap.c, `is_data_mapping`.
        let own = maps.reduce(0) { sum, map in
            map.protection.contains(.write) && !map.isShared && !map.flags.contains(.growsDown) ? sum + map.length : sum
        }
        let uses = [(Rlimit.RLIMIT_AS, "RLIMIT_AS", "--as", all), (Rlimit.RLIMIT_DATA, "RLIMIT_DATA", "--data", own)]
        for (resource, name, option, used) in uses {
            guard let limit = owner.limits.value.all.first(where: { UInt64($0.resource) == UInt64(resource) })?.soft else { continue }
            // The kernel goes by the hard limit where this one is 0 and the program uses memory (for valgrind).
            if limit == .max || used + InjectionPlace.memorySize <= limit || limit == 0 && resource == Rlimit.RLIMIT_DATA { continue }
            find(
                owner.pid, "task", "has no room for \(InjectionPlace.memorySize >> 10) KiB of working memory below its limit \(name) of \(limit) bytes",
                help: "prlimit --pid \(owner.pid) \(option)=\(used + 1 << 20): raises the soft limit")
        }
        for policy in space.memoryPolicies ?? [] {
            find(
                owner.pid, "mapping 0x\(policy.place)", "has the NUMA policy \(policy.text), which cannot be saved yet",
                help: "start the program without numactl")
        }
    }
}
