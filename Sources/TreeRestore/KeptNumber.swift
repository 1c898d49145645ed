internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// An old number that a task with a new one has in its memory still, which only the program itself may change.
///
/// Looked for where the kernel knows of an address: the word that it clears at the end of a thread, in which C
/// libraries note the thread's number, and the owners of robust mutexes.
package struct KeptNumber: Sendable {
    package enum Place: Sendable {
        /// The word of set_tid_address(2).
        case threadWord
        /// The owner of a robust mutex: the kernel would not release it at the thread's end.
        case heldMutex
    }

    package var process: UInt32
    package var old: UInt32
    package var new: UInt32
    package var command: String
    package var place: Place
    package var address: UInt64

    /// - Preconditions: every task is parked, its memory loaded.
    static func all(in tree: borrowing ForkedTree) -> [KeptNumber] {
        guard let renumbering = tree.plan.renumbering else { return [] }
        let image = tree.plan.valid.image
        var found: [KeptNumber] = []
        for (index, task) in tree.plan.tasks.enumerated() {
            guard let thread = task.thread.map({ image.threads[$0] }) else { continue }
            let host = tree.hostPids[index]
            let old = renumbering.old(thread.tid)
            func add(_ place: Place, _ address: UInt64) {
                found.append(
                    KeptNumber(
                        process: task.pid, old: old, new: thread.tid, command: thread.name.asText, place: place,
                        address: address))
            }
            if thread.clearChildTid_p != 0, word(host, thread.clearChildTid_p) == old { add(.threadWord, thread.clearChildTid_p) }
            let is32Bit = tree.plan.space(of: task.pid)?.is32Bit == true
            for address in robustFutexes(host, thread.robustList, is32Bit: is32Bit) {
                if let owner = word(host, address), owner & FutexWord.FUTEX_TID_MASK == old { add(.heldMutex, address) }
            }
        }
        return found
    }

    private static func word(_ host: Int32, _ address: UInt64) -> UInt32? {
        guard let bytes = try? RemoteMemory.read(host, at: address, count: 4) else { return nil }
        return bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// The futexes of a list of robust mutexes, that being locked included.
    ///
    /// - Source: get_robust_list(2); Documentation/locking/robust-futex-ABI.rst: next, offset, pending; at most 2048.
    private static func robustFutexes(_ host: Int32, _ head: UInt64, is32Bit: Bool) -> [UInt64] {
        guard head != 0 else { return [] }
        let size = is32Bit ? 4 : 8
        func pointer(_ address: UInt64) -> UInt64? {
            guard let bytes = try? RemoteMemory.read(host, at: address, count: size) else { return nil }
            return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        guard var next = pointer(head), var offset = pointer(head &+ UInt64(size)),
            let pending = pointer(head &+ UInt64(2 * size))
        else { return [] }
        if is32Bit { offset = UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: offset))) }
        var found: [UInt64] = []
        // Bit 0 marks priority inheritance.
        while next & ~1 != head && next != 0 && found.count < 2048 {
            found.append((next & ~1) &+ offset)
            guard let after = pointer(next & ~1) else { break }
            next = after
        }
        if pending & ~1 != 0 { found.append((pending & ~1) &+ offset) }
        return found
    }
}
