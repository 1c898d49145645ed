internal import CheckpointImage
internal import Kernel
internal import RestorePlan

/// Puts tasks into the control groups of the image as they are born.
///
/// A task is born where its creator is, so most of them are in place already. It is stopped by ptrace at its birth
/// and runs its first step after this: what it loads is charged where it belongs, and a limit there holds.
/// Tasks and memory that are undone leave their cgroups by ending.
final class CgroupPlacer {
    private struct Way: Hashable {
        var from: Int?
        var to: Int
    }

    private let plan: RestorePlan
    private let mounts: [CgroupMount]
    private let doors = CgroupDoors()
    /// The set that a task is in; missing: where crrestart is.
    private var current: [Int32: Int] = [:]
    private var ways: [Way: [(place: CgroupPlace, directory: CgroupDirectory)]] = [:]

    init(_ plan: RestorePlan) {
        self.plan = plan
        mounts = plan.valid.cgroups.sets.isEmpty ? [] : (try? CgroupMount.all()) ?? []
    }

    /// - Parameters:
    ///   - host, creator: pids as seen from here.
    /// - Errors: as cgroups(7) tells; the task is where it was born in the hierarchies that are left.
    func place(_ host: Int32, bornOf creator: Int32, as task: RestorePlan.Task) throws(RestoreError) {
        let from = current[creator]
        current[host] = from
        guard let process = plan.valid.image.process(task.pid) else { return }
        let thread = task.thread.map { plan.valid.image.threads[$0] }
        guard let to = plan.valid.cgroups.set(of: process, thread), to != from else { return }
        for (place, directory) in way(Way(from: from, to: to)) {
            do throws(SystemError) { try doors.put(host, into: directory, forThread: !task.isLeader) } catch {
                throw RestoreError(cannot: "put \(task.title) into cgroup \(place)", error, help: Self.help(error))
            }
        }
        current[host] = to
    }

    /// A ghost or placeholder stays where it was born.
    func leave(_ host: Int32, bornOf creator: Int32) { current[host] = current[creator] }

    private func way(_ way: Way) -> [(place: CgroupPlace, directory: CgroupDirectory)] {
        if let known = ways[way] { return known }
        let found = plan.valid.cgroups.moves(from: way.from, to: way.to).compactMap { place in
            CgroupDirectory(CgroupMembership(hierarchy: place.hierarchy, pathBytes: place.path), among: mounts).map { (place, $0) }
        }
        ways[way] = found
        return found
    }

    private static func help(_ error: SystemError) -> String {
        switch error.name {
        case "ENOSPC": "cpuset.cpus or cpuset.mems is empty there"
        case "EBUSY": "cgroup v2 takes no processes where controllers are handed on"
        case "EOPNOTSUPP": "threads stay in the threaded cgroups of one domain"
        case "EINVAL": "a real-time policy needs cpu.rt_runtime_us there"
        case "EACCES", "EPERM": "it is not delegated to us; be root"
        case "ENODEV", "ENOENT": "it was removed meanwhile"
        default: "--cgroup ignore leaves the tree where crrestart is"
        }
    }
}
