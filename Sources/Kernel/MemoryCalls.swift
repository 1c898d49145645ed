internal import CKernel
internal import Glibc
internal import LinuxABI

/// What this kernel knows of memory. Asked with nothing to do.
package enum MemoryCalls {
    /// MADV_GUARD_INSTALL of madvise(2), since 6.13.
    package static var knowsGuards: Bool {
        // An address of a page, and no bytes: only the advice is looked at.
        ckernel_syscall(Int(SYS_madvise), Int(pageSize), 0, Int(Madvise.MADV_GUARD_INSTALL), 0, 0, 0) == 0
    }

    /// How many mappings a process can have: `vm.max_map_count`.
    package static var mostMappings: Int {
        guard let text = try? readKernelText("/proc/sys/vm/max_map_count", capacity: 64) else { return .max }
        var cursor = ByteCursor(text)
        return cursor.decimal().map { Int(clamping: $0) } ?? .max
    }

    /// mseal(2), since 6.10.
    package static var knowsSeals: Bool { ckernel_syscall(462, Int(pageSize), 0, 0, 0, 0, 0) == 0 }
}

extension Processes {
    /// PR_GET_THP_DISABLE
    package static var hugePagesDisabled: UInt32 { UInt32(max(0, ckernel_prctl(Int(Prctl.PR_GET_THP_DISABLE), 0, 0, 0, 0))) }
    /// PR_GET_MEMORY_MERGE
    package static var mergesPages: Bool { ckernel_prctl(Int(Prctl.PR_GET_MEMORY_MERGE), 0, 0, 0, 0) == 1 }
}
