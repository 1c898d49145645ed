package import CheckpointImage
internal import LinuxABI

/// How a task gets its operations to undo (SEM_UNDO) again: it changes each semaphore, to be undone, and changes it back, for good, in
/// one semop(2). The values are the same all the time, as others see them.
///
/// Setting a value forgets what all tasks would undo on it. So this comes when all values are right.
///
/// - Source: semop(2); ipc/sem.c, `perform_atomic_semop_slow`, `semctl_setval`.
package struct SemaphoreUndoPlan: Sendable, Equatable {
    /// One of `struct sembuf`.
    struct Operation: Equatable {
        var index: UInt16
        var change: Int16
        var isUndone: Bool

        /// 2 bytes each: the semaphore, what is added to it, flags.
        var bytes: [UInt8] {
            let flags = UInt16(IPC.IPC_NOWAIT | (isUndone ? IPC.SEM_UNDO : 0))
            return [index, UInt16(bitPattern: change), flags].flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        }
    }

    /// The task, by its tid.
    package let thread: UInt32
    /// What semop(2) is given, call by call.
    package let calls: [[UInt8]]

    /// SEMOPM can be as little as 32; 500 is usual.
    private static let operationsInCall = 32
    /// Bytes of one call.
    static let room = 192
    package static let bytesOfOperation = 6
    private static let highestValue = 32767

    init(_ undo: ImageSemaphoreUndo, values: [UInt32]) {
        thread = undo.thread
        var operations: [Operation] = []
        for (index, adjustment) in undo.adjustments.enumerated() where values.indices.contains(index) {
            operations += Self.operations(UInt16(truncatingIfNeeded: index), adjustment: Int(adjustment), value: Int(values[index]))
        }
        calls = stride(from: 0, to: operations.count, by: Self.operationsInCall).map { start in
            operations[start..<min(start + Self.operationsInCall, operations.count)].flatMap(\.bytes)
        }
    }

    /// Pairs that end with the value that they begin with. No value in between is below 0 or above SEMVMX, so a large adjustment can take
    /// several pairs.
    static func operations(_ index: UInt16, adjustment: Int, value: Int) -> [Operation] {
        let (up, down) = (highestValue - value, value)
        let step = max(up, down)
        var left = adjustment
        var operations: [Operation] = []
        while left != 0 {
            let part = max(-step, min(step, left))
            // The operation that is undone is the opposite of what undoing it adds.
            let undone = Operation(index: index, change: Int16(truncatingIfNeeded: -part), isUndone: true)
            let kept = Operation(index: index, change: Int16(truncatingIfNeeded: part), isUndone: false)
            operations += (undone.change > 0) == (up >= down) ? [undone, kept] : [kept, undone]
            left -= part
        }
        return operations
    }
}
