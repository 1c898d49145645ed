internal import CheckpointImage
internal import Kernel
internal import RestorePlan

extension HostFacts {
    /// Who has the numbers that the tree needs, and which ones nobody needs.
    mutating func probeNumbers(of image: CheckpointImage, options: RestartOptions) {
        let helpers = HelperNumbers(of: image)
        var wanted = Set(helpers.ghosts)
        wanted.formUnion(image.processes.map(\.pid))
        wanted.formUnion(image.threads.map(\.tid))
        // The numbers of a new namespace are nobody's.
        let isOurs = options.newPidNamespace != true && !image.header.rootIsNamespaceInit
        if isOurs {
            for pid in wanted where Processes.exists(Int32(pid)) { takenPids[pid] = Self.holder(of: Int32(pid)) }
        }
        guard isOurs || helpers.placeholders > 0 else { return }
        // A number is taken as long as it is a living process's session or group, too.
        var led: [UInt32: String] = [:]
        for pid in (try? allProcesses()) ?? [] {
            guard let stat = try? ProcessStat(of: pid) else { continue }
            for (number, what) in [(stat.group, "process group"), (stat.session, "session")] where number > 0 {
                led[UInt32(number)] = "\(what) of \(pid) \(String(decoding: stat.comm, as: UTF8.self))"
            }
        }
        if isOurs {
            for pid in wanted where takenPids[pid] == nil { takenPids[pid] = led[pid].map { "the \($0)" } }
        }
        for process in image.processes { wanted.formUnion([process.session, process.group]) }
        spareNumbers = Self.spareNumbers(helpers.placeholders) {
            !wanted.contains($0) && led[$0] == nil && !Processes.exists(Int32($0))
        }
    }

    /// The kernel gives out numbers in a circle: those just before our own are the last to be given out again.
    private static func spareNumbers(_ count: Int, where isFree: (UInt32) -> Bool) -> [UInt32] {
        guard count > 0 else { return [] }
        let text = (try? readFile("/proc/sys/kernel/pid_max")) ?? []
        let end = UInt32(String(decoding: text, as: UTF8.self).prefix { $0.isNumber }) ?? 32768
        let start = min(UInt32(Processes.ownPid), end)
        var found: [UInt32] = []
        for number in [Array((301..<max(302, start)).reversed()), Array((start..<end).reversed())].joined() {
            if found.count == count { break }
            if isFree(number) { found.append(number) }
        }
        return found
    }

    private static func holder(of pid: Int32) -> String {
        guard let stat = try? ProcessStat(of: pid) else { return "somebody" }
        let ended = stat.isZombie ? ", which has ended and is not reaped yet" : ""
        return "\(pid) \(String(decoding: stat.comm, as: UTF8.self))\(ended)"
    }
}
