internal import Kernel

/// Whether the tree goes on while its pages are written, from copies of its memory that share every page with it until one is changed.
package enum LiveMode: String, CaseIterable, Sendable {
    /// The tree stands still until its pages are written.
    case never
    /// Where it can be done and memory is not short.
    case auto
    /// It is refused where it cannot be done.
    case always
}

/// How much memory copies may come to need: pure.
struct CopyNeed: Equatable {
    /// Bytes that are set aside at once: of memory that a copy would share with the tree as it goes on.
    var atOnce: UInt64
    /// Bytes that the tree can come to change while the copies live.
    var later: UInt64

    /// One sixteenth of the host's memory stays free.
    private static let reserve: UInt64 = 16
    /// Bytes of an address space from which a copy pays.
    static let leastOfSpace: UInt64 = 8 << 20

    init(atOnce: UInt64, later: UInt64) {
        self.atOnce = atOnce
        self.later = later
    }

    init(of sight: TreeSight) {
        atOnce = sight.objects.reduce(0) { $0 &+ UInt64(max(0, $1.status.size)) }
        later = sight.spaces.reduce(0) { sum, space in
            space.maps.value.maps.reduce(sum) { $1.isShared ? $0 : $0 &+ $1.anonymous }
        }
    }

    /// Whether the tree stands still for less time if it is copied than if its pages are written: most of them have to be in memory that a
    /// copy holds, and each address space has to be larger, on the average, than what is written in the time that its copy takes.
    ///
    /// - Source: measured, docs/performance.md.
    func pays(spaces: Int) -> Bool { later >= atOnce && later >= UInt64(spaces) &* Self.leastOfSpace }

    /// Why there is not enough; nil: there is.
    ///
    /// Processes that share pages among themselves count each for all of them, but no more can be needed than is in use now.
    func shortage(_ host: HostMemory) -> Refusal? {
        let used = host.total > host.available ? host.total - host.available : 0
        let need = min(later, used) &+ min(atOnce, used)
        let free = host.available > host.total / Self.reserve ? host.available - host.total / Self.reserve : 0
        return need <= free ? nil : Self.refusal(need, free, "")
    }

    /// The same of a control group of the tree. What is set aside is not in it.
    func shortage(_ cgroup: CgroupMemory) -> Refusal? {
        let need = min(later, cgroup.used)
        return need <= cgroup.free ? nil : Self.refusal(need, cgroup.free, " below the limit of its control group")
    }

    private static func refusal(_ need: UInt64, _ free: UInt64, _ place: String) -> Refusal {
        Refusal(
            "may come to need \(need >> 20) MiB for a copy of the tree's memory, and \(free >> 20) MiB can be given\(place)",
            help: "--live=always takes the risk")
    }
}
