internal import Kernel
internal import LinuxABI

/// `--live`: the tree goes on as soon as its memory has been copied, and pages are written from the copies.
extension Checkpoint {
    /// Where copies are to go; nil: the tree stands still until its pages are written.
    ///
    /// - Parameter notices: gets the reason, where memory is short.
    func makeCopies(for sight: TreeSight, _ notices: inout [String]) -> SpaceCopies? {
        let mode = options.live ?? .auto
        guard mode != .never, options.afterwards == .goOn else { return nil }
        if sight.spaces.contains(where: { $0.maps.value.maps.contains { $0.flags.contains(.hugeTLB) && !$0.isShared } }) {
            // A process that writes takes pages of the pool from its copy.
            if options.live != nil { notices.append("\(Self.stoodStill): it has private memory from the huge page pool, of which no copy can be made") }
            return nil
        }
        let need = CopyNeed(of: sight)
        if options.live == nil && !need.pays(spaces: sight.spaces.count) { return nil }
        if mode == .auto, let refusal = Self.shortage(need, sight) {
            notices.append("\(Self.stoodStill): it \(refusal.reason) (\(refusal.help))")
            return nil
        }
        return SpaceCopies(mode)
    }

    /// Why memory is short for copies; nil: it is not, or that cannot be told.
    private static func shortage(_ need: CopyNeed, _ sight: TreeSight) -> Refusal? {
        if let host = try? HostMemory.look(), let refusal = need.shortage(host) { return refusal }
        guard let mounts = try? CgroupMount.all() else { return nil }
        for cgroup in sight.cgroups {
            if let memory = CgroupMemory.tightest(of: cgroup.text.value.all, among: mounts), let refusal = need.shortage(memory) { return refusal }
        }
        return nil
    }

    static let stoodStill = "the tree stood still until its pages were written"

    /// Where pages are read from while the tree runs; nil: it has to stand still.
    ///
    /// - Preconditions: the tree stands still.
    func livePages(
        of recorded: Recorded, _ sight: TreeSight, _ copies: SpaceCopies, runs: (PageOrigin.Owner) -> [(page: UInt64, count: UInt64)],
        _ notices: inout [String]
    ) throws(CaptureError) -> LivePages? {
        let findings = copies.findings(sight)
        if copies.mode == .always && !findings.isEmpty { throw CaptureError(findings: findings) }
        if copies.count == 0 {
            notices += copies.notices(sight)
            return nil
        }
        var held: [HostPid: HostPid] = [:]
        for (space, copy) in copies.copies { held[sight[space: space].holder] = copy }
        do throws(CaptureError) {
            let pages = try LivePages(recorded.pages, runs: runs, held) { () throws(CaptureError) in
                try watch.check()
                watch.progressed()
            }
            notices += copies.notices(sight)
            return pages
        } catch {
            try watch.check()
            if copies.mode == .always { throw error }
            notices.append("\(Self.stoodStill): \(error.sentence)")
            return nil
        }
    }

    /// A space whose copy has ended. Its memory is gone a moment before its end is reported.
    private func lost(_ copies: SpaceCopies) -> Int? {
        for _ in 0..<20 {
            if let space = copies.lost().first { return space }
            Waiting.pause(atMost: 5_000_000)
        }
        return nil
    }

    /// An error of writing, or what lies behind it: a copy that was ended.
    func explained(_ error: CaptureError, _ copies: SpaceCopies?, _ sight: TreeSight, image: String) -> CaptureError {
        guard let copies, copies.count > 0, watch.interruption() == nil, let space = lost(copies),
            let process = sight.processes.first(where: { $0.space == space })
        else { return error }
        return CaptureError(
            "cannot write image \(image): ESRCH (the copy of the memory of \(process.pid) \(printable(process.stat.value.comm)) was ended, by the kernel perhaps, where memory is short: --live=never needs none; the tree goes on)")
    }
}
