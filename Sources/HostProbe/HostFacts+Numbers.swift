package import CheckpointImage
internal import Kernel
internal import LinuxABI
package import RestorePlan

extension HostFacts {
    /// Which processes have the numbers that the tree needs, and which numbers are free.
    ///
    /// - Parameter tree: its numbers count as free. Then the other processes of this host are looked at only where that matters,
    ///   because the tree stands still meanwhile.
    package mutating func probeNumbers(of image: CheckpointImage, options: RestartOptions, endOf tree: LivingTree? = nil) {
        let wanted = Renumbering.oldNumbers(of: image)
        probeChoice(highest: wanted.max() ?? 0)
        let helpers = HelperNumbers(of: image)
        let fresh = options.keepsPids ? 0 : wanted.count
        // The numbers of a new namespace are free.
        // Nor do they matter where the tree can have a new namespace once it has ended.
        let looksForCollisions = options.keepsPids && options.newPidNamespace != true && !image.rootIsNamespaceInit
            && !(tree != nil && mayMakeNamespaces)
        guard looksForCollisions || helpers.placeholders + fresh > 0 else { return }
        let members = tree?.tasks ?? []
        var led = looksForCollisions || tree == nil ? Self.numbersOfGroups(without: members) : [:]
        if looksForCollisions {
            let own = Set(image.processes.map(\.pid)).union(image.threads.map(\.tid)).union(helpers.ghosts)
            var taken = Self.holders(of: own, led).filter { !members.contains(Int32(bitPattern: $0.key)) }
            // `crcheckpoint --kill` may have ended them just now: as a rule they are reaped soon.
            var deadline = SystemClock.monotonic.now() + (options.waitsForNumbers ? Self.reapingTime : 0)
            while tree == nil, !taken.isEmpty, taken.values.allSatisfy(\.isDead), SystemClock.monotonic.now() < deadline {
                Waiting.pause(atMost: 5_000_000)
                let before = taken.count
                led = Self.numbersOfGroups()
                taken = Self.holders(of: own, led)
                if taken.count < before { deadline = SystemClock.monotonic.now() + Self.reapingTime }
            }
            takenPids = taken.mapValues(\.description)
            dyingPids = taken.filter(\.value.isDead).mapValues(\.description)
        }
        let old = Set(wanted).union([image.header.outsideSession, image.header.outsideGroup])
        let free = Self.freeNumbers(helpers.placeholders + fresh, below: numbers.end) { number in
            !old.contains(number) && led[number] == nil && !Processes.exists(Int32(number))
        }
        spareNumbers = Array(free.prefix(helpers.placeholders))
        freshNumbers = Array(free.dropFirst(helpers.placeholders))
    }

    /// How tasks can be given numbers. Creates nothing that stays.
    private mutating func probeChoice(highest: UInt32) {
        numbers.end = PidChoice.end()
        numbers.endInNewNamespace = numbers.end
        if highest >= numbers.end && mayMakeNamespaces {
            numbers.endInNewNamespace = PidChoice.endInNewNamespace() ?? numbers.end
        }
        numbers.isUnderFilter = (try? TaskStatus(of: Processes.ownPid)).map { $0.seccompMode != 0 } ?? false
        guard let failure = PidChoice.setTidFailure() else { return }
        // In a namespace of our own there is no lack of privilege, but kernel and filter are the same.
        let lacksPrivilege = PidChoice.hasClone3 && failure.name == "EPERM"
        if !lacksPrivilege { numbers.choiceInNewNamespace = .lastPid }
        if let other = PidChoice.lastPidFailure() {
            numbers.choice = .refused(setTid: failure.name, lastPid: other.name)
        } else {
            numbers.choice = .lastPid
        }
    }

    /// How long no process has to have been reaped until that is no more expected; in nanoseconds.
    private static let reapingTime: Int64 = 1_000_000_000

    /// Who has a number.
    private struct Holder {
        var description: String
        /// It has ended, and has not been reaped yet.
        var isDead = false
    }

    private static func holders(of pids: Set<UInt32>, _ led: [UInt32: Holder]) -> [UInt32: Holder] {
        var found: [UInt32: Holder] = [:]
        for pid in pids { found[pid] = Processes.exists(Int32(pid)) ? holder(of: Int32(pid)) : led[pid] }
        return found
    }

    /// A number is taken as long as it is the session or group of a process, too: of the living, if there are such.
    private static func numbersOfGroups(without members: Set<Int32> = []) -> [UInt32: Holder] {
        var led: [UInt32: Holder] = [:]
        for pid in (try? allProcesses()) ?? [] where !members.contains(pid) {
            guard let stat = try? ProcessStat(of: pid) else { continue }
            for (number, what) in [(stat.group, "process group"), (stat.session, "session")] where number > 0 {
                if stat.isZombie && led[UInt32(number)] != nil { continue }
                let name = "\(pid) \(printable(stat.comm))"
                led[UInt32(number)] = Holder(description: "the \(what) of \(name)", isDead: stat.isZombie)
            }
        }
        return led
    }

    /// The kernel gives out numbers in a circle: those just before our own are the last to be given out again.
    private static func freeNumbers(_ count: Int, below end: UInt32, where isFree: (UInt32) -> Bool) -> [UInt32] {
        guard count > 0 else { return [] }
        let start = min(UInt32(Processes.ownPid), end)
        let lowest: UInt32 = 301
        var found: [UInt32] = []
        for number in (min(lowest, start)..<start).reversed() where number >= lowest && isFree(number) {
            found.append(number)
            if found.count == count { return found }
        }
        for number in (max(start, lowest)..<max(end, start, lowest)).reversed() where isFree(number) {
            found.append(number)
            if found.count == count { return found }
        }
        return found
    }

    private static func holder(of pid: Int32) -> Holder {
        guard let stat = try? ProcessStat(of: pid) else { return Holder(description: "a task that has just ended", isDead: true) }
        let name = "\(pid) \(printable(stat.comm))"
        if let process = (try? TaskStatus(of: pid))?.processID, process != pid {
            let leader = (try? ProcessStat(of: process)).map { " \(printable($0.comm))" } ?? ""
            return Holder(description: "\(name), a thread of \(process)\(leader)")
        }
        let reaper = (try? ProcessStat(of: stat.parent)).map { " by \(stat.parent) \(printable($0.comm))" } ?? ""
        let ending = stat.isZombie ? ", which has ended and is not reaped yet\(reaper)" : ""
        return Holder(description: name + ending, isDead: stat.isZombie)
    }
}
