/// Rules of System V semaphore sets.
extension ImageLookup {
    /// SEMMSL and SEMVMX of the kernel's own limits. Source: semget(2), semop(2).
    private static let mostSemaphores = 65536
    private static let highestValue: UInt32 = 32767
    /// SEMAEM, and one more below zero.
    private static let adjustments: ClosedRange<Int32> = -32768...32767

    func validate(_ sets: [ImageSemaphoreSet]) throws(ImageError) {
        var numbers: Set<UInt32> = []
        var keys: Set<UInt32> = []
        for set in sets {
            let subject = { "semaphore set \(set.id)" }
            try require(set.number <= Int32.max && set.mode <= 0o777, .semaphoreRange, subject())
            try require(
                !set.values.isEmpty && set.values.count <= Self.mostSemaphores
                    && set.values.allSatisfy { $0 <= Self.highestValue }, .semaphoreRange, subject())
            try require(numbers.insert(set.number).inserted, .semaphoreTwice, subject())
            try require(set.key == 0 || keys.insert(set.key).inserted, .semaphoreTwice, subject())
            try require(Set(set.undo.map(\.thread)).count == set.undo.count, .semaphoreTwice, subject())
            for undo in set.undo {
                try require(thread[undo.thread] != nil, .semaphoreRange, subject())
                try require(
                    undo.adjustments.count == set.values.count && undo.adjustments.allSatisfy { Self.adjustments.contains($0) }, .semaphoreRange,
                    subject())
            }
        }
    }
}
