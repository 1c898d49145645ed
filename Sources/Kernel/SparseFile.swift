internal import CKernel
internal import Glibc

/// Where a file holds data (lseek(2), SEEK_DATA and SEEK_HOLE).
package enum SparseFile {
    @inline(never)
    package static func dataRuns(of file: borrowing Descriptor, size: UInt64) throws(SystemError) -> [(
        start: UInt64, length: UInt64
    )] {
        var runs: [(start: UInt64, length: UInt64)] = []
        var position: UInt64 = 0
        while position < size {
            let data = ckernel_syscall(Int(SYS_lseek), Int(file.number), Int(position), 3, 0, 0, 0)  // SEEK_DATA
            if data == -Int(ENXIO) { break }
            let start = UInt64(try SystemError.check(data, "lseek SEEK_DATA"))
            let hole = ckernel_syscall(Int(SYS_lseek), Int(file.number), Int(start), 4, 0, 0, 0)  // SEEK_HOLE
            let end = min(size, UInt64(try SystemError.check(hole, "lseek SEEK_HOLE")))
            if end > start { runs.append((start, end - start)) }
            position = max(end, start + 1)
        }
        return runs
    }
}

/// What is mounted where, as a process sees it.
package enum MountTable {
    /// True if a process of another mount namespace sees the same mounts as we do, but for `/proc`,
    /// which a tree with a pid namespace of its own has anew.
    package static func matchesOurs(_ pid: Int32) -> Bool {
        guard let theirs = try? readFile("/proc/\(pid)/mountinfo"), let ours = try? readFile("/proc/self/mountinfo")
        else { return false }
        return entries(theirs) == entries(ours)
    }

    /// Device, root, mount point and type of each mount, without those of type proc. Mount numbers and
    /// propagation differ between namespaces and do not count.
    static func entries(_ mountinfo: [UInt8]) -> [String] {
        var result: [String] = []
        for line in mountinfo.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
            guard fields.count > 6, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count else { continue }
            if fields[dash + 1] == "proc" { continue }
            result.append("\(fields[2]) \(fields[3]) \(fields[4]) \(fields[dash + 1])")
        }
        // A copied namespace lists its mounts in another order.
        return result.sorted()
    }
}
