internal import CKernel
internal import Glibc
internal import LinuxABI

/// The kernel's word on which pages of a process were not written since a moment.
///
/// A descriptor of userfaultfd(2), made in the process, puts its mappings under write protection that the kernel lifts by itself at the
/// first write: the program notices nothing. Writes of the kernel in the program's name count, too. All of it ends with the last descriptor.
/// Children do not inherit it, and memory that is moved (mremap(2)) loses it.
///
/// - Source: ioctl_userfaultfd(2), `UFFD_FEATURE_WP_ASYNC`; Documentation/admin-guide/mm/pagemap.rst, `PM_SCAN_CHECK_WPASYNC`.
package enum WriteTracking {
    /// Takes a descriptor that a process has made with userfaultfd(2), and readies it.
    ///
    /// - Errors: `EBADF`: the descriptor is another one, for instance that of another process that has got the number; `EINVAL`: the kernel
    ///   has none of this (before 6.7).
    package static func take(_ number: Int32, of pid: Int32) throws(SystemError) -> Descriptor {
        let file = try Descriptor.open(process: pid).duplicate(remote: number)
        guard try readLink("/proc/self/fd/\(file.number)").elementsEqual(UserFaultFile.link.utf8) else { throw SystemError(EBADF, in: "pidfd_getfd") }
        try FaultPoint.track.pass("ioctl(UFFDIO_API)")
        try UserFaultFile.begin(.trackedWrites, file.number)
        return file
    }

    /// Puts a mapping of the process under it.
    ///
    /// - Errors: see ``UserFaultFile/register(_:for:_:)``.
    package static func add(_ range: PageRun, to number: Int32) throws(SystemError) {
        try FaultPoint.track.pass("ioctl(UFFDIO_REGISTER)")
        try UserFaultFile.register(range.start..<range.end, for: .trackedWrites, number)
    }

    /// From now on no page of the range counts as written that is in memory; all others do.
    ///
    /// - Preconditions: the process is stopped.
    /// - Returns: bytes of these pages.
    package static func begin(_ range: PageRun, of pid: Int32) throws(SystemError) -> UInt64 {
        var runs: [PageRun] = []
        try scan(range, of: pid, begins: true, into: &runs)
        return runs.reduce(0) { $0 + $1.length }
    }

    /// Appends the pages of the range that are in memory and were not written since, ascending.
    ///
    /// - Preconditions: the process is stopped.
    /// - Errors: `EPERM`: not all of the range is tracked.
    package static func appendUnwritten(_ range: PageRun, of pid: Int32, to runs: inout [PageRun]) throws(SystemError) {
        try scan(range, of: pid, begins: false, into: &runs)
    }

    @inline(never)
    private static func scan(_ range: PageRun, of pid: Int32, begins: Bool, into runs: inout [PageRun]) throws(SystemError) {
        try FaultPoint.track.pass("ioctl(PAGEMAP_SCAN)")
        let file = try Descriptor.open("/proc/\(pid)/pagemap")
        let first = runs.count
        // Not more regions: with a longer vector Linux 6.18 gave some of them twice.
        let room = 512
        var at = range.start
        while at < range.end {
            let (number, from, end) = (file.number, at, range.end)
            var walkEnd: UInt64 = 0
            var result = 0
            unsafe withUnsafeTemporaryAllocation(of: ckernel_page_region.self, capacity: room) { regions in
                // The kernel fills at most `room` regions; only those it counts are read.
                result = unsafe ckernel_pagemap_track(number, from, end, begins, regions.baseAddress, UInt64(room), &walkEnd)
                for index in 0..<min(max(0, result), room) {
                    let region = unsafe regions[index]
                    runs.append(PageRun(start: region.start, length: region.end - region.start), mergingFrom: first)
                }
            }
            if result == -Int(EINTR) { continue }
            _ = try SystemError.check(result, "ioctl(PAGEMAP_SCAN)")
            guard walkEnd > at else { break }
            at = walkEnd
        }
    }
}
