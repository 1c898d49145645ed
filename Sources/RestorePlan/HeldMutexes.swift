import CheckpointImage
import LinuxABI

/// A robust mutex in a file that threads of the tree share by a mapping and held at the checkpoint.
///
/// If the original was ended after that, the kernel has marked it as left by a dead owner, in the file: its owner is back now.
package struct HeldMutex: Sendable, Equatable {
    /// Index of the program of the process whose memory it is in.
    package var program: Int
    /// Address of the 32-bit word.
    package var address: UInt64
    package var value: UInt32

    /// What the kernel makes of the word when the owner dies.
    ///
    /// - Source: kernel/futex, `handle_futex_death`.
    package var abandoned: UInt32 { value & FutexWord.FUTEX_WAITERS | FutexWord.FUTEX_OWNER_DIED }
}

extension RestorePlan {
    package var heldMutexes: [HeldMutex] {
        var seen: Set<UInt32> = []
        return valid.image.processes.flatMap { process -> [HeldMutex] in
            guard process.state != .zombie, let space = valid.image.addressSpace(of: process), !space.robustWords.isEmpty,
                seen.insert(space.id).inserted, let program = program(of: process.pid)
            else { return [] }
            return space.robustWords.map { HeldMutex(program: program, address: $0.address, value: $0.value) }
        }
    }
}
