/// Texts of `/proc` as the kernel gives them, for a reader that keeps the text beside what it says.
///
/// If the process is gone all of them throw `ENOENT` or `ESRCH`.
///
/// - Source: proc(5).
package enum ProcText {
    /// Of a process as a whole, or of one of its tasks.
    package static func stat(of pid: Int32, task: Int32? = nil) throws(SystemError) -> [UInt8] {
        try record(directory(pid, task) + "/stat", .procStat, capacity: 1024)
    }

    package static func status(of pid: Int32, task: Int32? = nil) throws(SystemError) -> [UInt8] {
        try record(directory(pid, task) + "/status", .procStatus)
    }

    /// Every mapping with its flags, at the price of a walk over the page tables.
    package static func smaps(of pid: Int32) throws(SystemError) -> [UInt8] {
        try read("/proc/\(pid)/smaps", .procMaps, capacity: 1 << 15)
    }

    package static func fdinfo(of pid: Int32, descriptor: Int32) throws(SystemError) -> [UInt8] {
        try record("/proc/\(pid)/fdinfo/\(descriptor)", .procFdinfo, capacity: 1024)
    }

    package static func limits(of pid: Int32) throws(SystemError) -> [UInt8] { try record("/proc/\(pid)/limits", .procLimits) }

    package static func timers(of pid: Int32) throws(SystemError) -> [UInt8] { try read("/proc/\(pid)/timers", .procTimers) }

    package static func auxiliaryVector(of pid: Int32) throws(SystemError) -> [UInt8] {
        try record("/proc/\(pid)/auxv", .procMaps, capacity: 1024)
    }

    package static func mounts(of pid: Int32) throws(SystemError) -> [UInt8] { try read("/proc/\(pid)/mountinfo", .procMountinfo) }

    private static func read(_ path: String, _ point: FaultPoint, capacity: Int = 4096) throws(SystemError) -> [UInt8] {
        try point.pass("read \(path)")
        return try readKernelText(path, capacity: capacity)
    }

    /// Of a file that is one record.
    private static func record(_ path: String, _ point: FaultPoint, capacity: Int = 4096) throws(SystemError) -> [UInt8] {
        try point.pass("read \(path)")
        return try readKernelRecord(path, capacity: capacity)
    }

    private static func directory(_ pid: Int32, _ task: Int32?) -> String {
        task.map { "/proc/\(pid)/task/\($0)" } ?? "/proc/\(pid)"
    }
}
