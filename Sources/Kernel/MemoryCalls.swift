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

    /// Bytes of a transparent huge page; 0: there are none, or the host never gives them.
    ///
    /// - Source: Documentation/admin-guide/mm/transhuge.rst.
    package static var hugePageSize: UInt64 {
        let folder = "/sys/kernel/mm/transparent_hugepage/"
        guard let modes = try? readKernelText(folder + "enabled", capacity: 64), let size = try? readKernelText(folder + "hpage_pmd_size", capacity: 64)
        else { return 0 }
        var cursor = ByteCursor(size)
        return hugePagesAreOffered(modes) ? cursor.decimal() ?? 0 : 0
    }

    /// Whether free memory is given back to the host of this virtual machine in pieces that are not larger than a huge page.
    ///
    /// - Source: Documentation/mm/free_page_reporting.rst; mm/page_reporting.c: the order is that of the pieces, and not one of the
    ///   allocator's as long as no device has asked for them.
    package static var givesMemoryBack: Bool {
        guard let text = try? readKernelText("/sys/module/page_reporting/parameters/page_reporting_order", capacity: 64) else { return false }
        var cursor = ByteCursor(text)
        return cursor.decimal().map { pageSize << min($0, 30) <= max(hugePageSize, pageSize) } ?? false
    }

    /// - Parameter modes: a line such as `always [madvise] never`, in which brackets are around what holds.
    static func hugePagesAreOffered(_ modes: [UInt8]) -> Bool {
        guard let start = modes.firstIndex(of: UInt8(ascii: "[")) else { return false }
        return !modes[start...].starts(with: "[never]".utf8)
    }

    /// By the size of a huge page in bytes: how many can be reserved from its pool now.
    ///
    /// - Source: Documentation/admin-guide/mm/hugetlbpage.rst.
    package static var pools: [UInt64: UInt64] {
        let folder = "/sys/kernel/mm/hugepages"
        var pools: [UInt64: UInt64] = [:]
        for name in ((try? entryNames(of: folder)) ?? []).map({ String(decoding: $0, as: UTF8.self) }) where name.hasPrefix("hugepages-") {
            guard let kibibytes = UInt64(name.dropFirst(10).dropLast(2)), kibibytes < 1 << 40 else { continue }
            func number(_ file: String) -> UInt64 {
                guard let text = try? readKernelText("\(folder)/\(name)/\(file)", capacity: 64) else { return 0 }
                var cursor = ByteCursor(text)
                return cursor.decimal() ?? 0
            }
            let (free, reserved) = (number("free_hugepages"), number("resv_hugepages"))
            let (most, surplus) = (number("nr_overcommit_hugepages"), number("surplus_hugepages"))
            pools[kibibytes << 10] = (free > reserved ? free - reserved : 0) + (most > surplus ? most - surplus : 0)
        }
        return pools
    }

    /// mseal(2), since 6.10.
    package static var knowsSeals: Bool { ckernel_syscall(462, Int(pageSize), 0, 0, 0, 0, 0) == 0 }
}

package enum HugePages {
    /// Makes one page of many in the memory of a process, where all of them are there.
    ///
    /// - Errors: `EPERM` without CAP_SYS_NICE; others where there is no huge page, or memory that cannot have one: all stays as it is.
    /// - Source: process_madvise(2); madvise(2), MADV_COLLAPSE, since 6.1.
    package static func make(_ range: Range<UInt64>, in process: borrowing Descriptor) throws(SystemError) {
        let words = [range.lowerBound, UInt64(range.count)]
        let result = unsafe words.withUnsafeBytes { words in
            unsafe ckernel_syscall(
                Int(SYS_process_madvise), Int(process.number), Int(bitPattern: words.baseAddress), 1, Int(Madvise.MADV_COLLAPSE), 0, 0)
        }
        _ = try SystemError.check(result, "process_madvise(MADV_COLLAPSE)")
    }
}

extension Processes {
    /// PR_GET_THP_DISABLE
    package static var hugePagesDisabled: UInt32 { UInt32(max(0, ckernel_prctl(Int(Prctl.PR_GET_THP_DISABLE), 0, 0, 0, 0))) }
    /// PR_GET_MEMORY_MERGE
    package static var mergesPages: Bool { ckernel_prctl(Int(Prctl.PR_GET_MEMORY_MERGE), 0, 0, 0, 0) == 1 }
}
