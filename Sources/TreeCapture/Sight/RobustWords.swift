internal import Kernel
internal import LinuxABI
internal import StepProgram

/// The robust mutexes that threads of a process hold in shared mappings of files.
///
/// When the original ends the kernel marks them as left by a dead owner, and a file keeps that mark. Those in other memory are
/// saved with it.
///
/// - Source: get_robust_list(2); kernel/futex, `exit_robust_list`.
enum RobustWords {
    /// The kernel looks at no more (ROBUST_LIST_LIMIT).
    private static let most = 2048

    /// - Parameters:
    ///   - files: shared writable mappings of files.
    ///   - threads: those with this address space, of a 64-bit program.
    static func look(_ files: [MemoryMap], _ threads: [ThreadSight]) -> [MemorySight.RobustWordSight] {
        var words: [UInt64: UInt32] = [:]
        for thread in threads where thread.robustList != 0 {
            let task = thread.tid.rawValue
            // struct robust_list_head: the first entry, the distance of a word from its entry, an entry in the making
            guard let head = try? RemoteMemory.read(task, at: thread.robustList, count: 24) else { continue }
            let distance = head.littleEndian64(at: 8)
            var entries = [head.littleEndian64(at: 16)]
            var next = head.littleEndian64(at: 0) & ~1
            while next != 0, next & ~1 != thread.robustList, entries.count <= most {
                entries.append(next)
                next = (RemoteMemory.word(task, at: next & ~1) ?? 0)
            }
            for entry in entries where entry != 0 {
                let address = entry & ~1 &+ distance
                guard files.contains(where: { $0.start <= address && address < $0.end }),
                    let word = RemoteMemory.word32(task, at: address), word & FutexWord.FUTEX_TID_MASK != 0
                else { continue }
                words[address] = word
            }
        }
        return words.sorted { $0.key < $1.key }.map { MemorySight.RobustWordSight(address: $0.key, value: $0.value) }
    }
}
