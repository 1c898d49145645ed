internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// Notices that nothing goes on any more: no task has come to another step for a while. A file that cannot be opened (a FIFO
/// without a peer, a dead server) would otherwise hold up a restart for ever.
///
/// The time in which a task reads pages or locks them in memory does not count: that takes as long as it takes.
struct StepClock {
    private let patience: Int64
    private var lastLook: Int64
    private var lastChange: Int64
    private var state: UInt64 = 0

    /// Nil: there is no limit.
    init?(_ watch: Watch) {
        guard let patience = watch.patience else { return nil }
        self.patience = patience
        lastLook = SystemClock.monotonic.now()
        lastChange = lastLook
    }

    /// - Errors: the time is over. Names the first task that is not waiting for others, and its step.
    mutating func check(_ tree: borrowing ForkedTree) throws(RestoreError) {
        let now = SystemClock.monotonic.now()
        if now - lastLook < min(250_000_000, patience / 4) { return }
        lastLook = now
        let look = Self.look(tree)
        if look.state != state || look.isBusy {
            state = look.state
            lastChange = now
        } else if now - lastChange >= patience {
            throw Self.failure(tree, seconds: patience / 1_000_000_000)
        }
    }

    private static func takesItsTime(_ step: Step) -> Bool { [.call(.preadv), .call(.mlock2)].contains(step.operation) }

    /// A number that changes when a task comes to another step or is born, and whether one does what takes its time.
    private static func look(_ tree: borrowing ForkedTree) -> (state: UInt64, isBusy: Bool) {
        var state: UInt64 = 14_695_981_039_346_656_037
        var isBusy = false
        for index in tree.hostPids.indices {
            // FNV-1a, a word at a time.
            state = (state ^ tree.memory.load64(tree.plan.launchpad.slotAddress(index))) &* 1_099_511_628_211
            state = (state ^ UInt64(UInt32(bitPattern: tree.hostPids[index]))) &* 1_099_511_628_211
            if let step = tree.plan.currentStep(of: index, tree.memory)?.step, takesItsTime(step) { isBusy = true }
        }
        return (state, isBusy)
    }

    private static func failure(_ tree: borrowing ForkedTree, seconds: Int64) -> RestoreError {
        let plan = tree.plan
        let reason = "(no step of the tree has ended for \(seconds) s; --timeout waits longer)"
        var found: Int?
        for (index, host) in tree.hostPids.enumerated() where host != 0 {
            let isHeldUp = plan.currentStep(of: index, tree.memory).map { !waitsForOthers($0.step) } ?? true
            if isHeldUp || found == nil { found = index }
            if isHeldUp { break }
        }
        guard let index = found else { return RestoreError("cannot create \(plan.title(of: 0)): ETIMEDOUT \(reason)") }
        let place = plan.placeInWords(of: index, tree.memory).map { "at \($0)" } ?? "before its first step"
        return RestoreError("cannot restart \(plan.title(of: index)): ETIMEDOUT \(place) \(reason)")
    }

    /// Those that wait for others, or are done, are not at fault.
    private static func waitsForOthers(_ step: Step) -> Bool {
        switch step.operation {
        case .wait, .call(.ppoll), .call(.wait4), .call(.waitid), .call(.futex): true
        default: false
        }
    }
}
