internal import Kernel

/// The numbers that tasks of the tree have in the image, by the numbers that open files tell.
struct TaskNumbers {
    /// Processes, and zombies, by their number in crcheckpoint's pid namespace; likewise process groups.
    private var processes: [UInt32: UInt32] = [:]
    private var groups: [UInt32: UInt32] = [:]
    /// Threads: their number in the image, and that of their process.
    private var threads: [UInt32: (number: UInt32, process: UInt32)] = [:]
    /// The same by the numbers in the image.
    private var known: Set<UInt32> = []
    private var knownThreads: [UInt32: UInt32] = [:]
    /// The root is not in the pid namespace of crcheckpoint.
    let areNested: Bool
    /// The root is the init of its pid namespace.
    let rootIsInit: Bool
    /// Mount namespaces, by their places, whose `/proc` shows the pid namespace of the root.
    private var showing: Set<Int> = []

    init(_ sight: TreeSight) {
        let depth = max(0, (sight.processes.first?.status.value.namespaceProcessIDs.count ?? 1) - 1)
        areNested = depth > 0
        rootIsInit = sight.processes.first?.status.value.namespaceProcessIDs.last == 1
        func note(_ pid: HostPid, _ status: TaskStatus) {
            let numbers = status.namespaceProcessIDs.dropFirst(depth)
            let number = numbers.first ?? UInt32(bitPattern: pid.rawValue)
            processes[UInt32(bitPattern: pid.rawValue)] = number
            known.insert(number)
            if let outer = status.namespaceGroups.first, outer != 0 {
                groups[outer] = status.namespaceGroups.dropFirst(depth).first ?? outer
            }
        }
        for process in sight.processes { note(process.pid, process.status.value) }
        for zombie in sight.zombies { note(zombie.pid, zombie.status.value) }
        for (process, thread) in sight.threads {
            let host = UInt32(bitPattern: thread.tid.rawValue)
            let number = process.status(of: thread).namespaceTaskIDs.dropFirst(depth).first ?? host
            let owner = processes[UInt32(bitPattern: process.pid.rawValue)] ?? 0
            threads[host] = (number, owner)
            knownThreads[number] = owner
        }
        guard let root = sight.processes.first, root.pidNamespace > 0 else { return }
        let link = sight[namespace: root.pidNamespace].link
        for (index, namespace) in sight.namespaces.enumerated() where namespace.shownByProc == link { showing.insert(index + 1) }
    }

    func isShown(in mountNamespace: Int) -> Bool { showing.contains(mountNamespace) }

    /// By a number in a `/proc` of the tree.
    func process(_ number: UInt32) -> UInt32? { areNested ? (known.contains(number) ? number : nil) : processes[number] }

    func thread(_ number: UInt32, of process: UInt32) -> UInt32? {
        guard areNested else { return threads[number].flatMap { $0.process == process ? $0.number : nil } }
        return knownThreads[number] == process ? number : nil
    }

    /// By a number of crcheckpoint's own pid namespace.
    func process(_ pid: HostPid) -> UInt32? { processes[UInt32(bitPattern: pid.rawValue)] }
    func thread(_ tid: HostPid) -> (number: UInt32, process: UInt32)? { threads[UInt32(bitPattern: tid.rawValue)] }
    func group(_ number: HostPid) -> UInt32? { groups[UInt32(bitPattern: number.rawValue)] }
}
