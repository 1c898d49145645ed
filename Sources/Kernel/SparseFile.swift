internal import CKernel
internal import Glibc
internal import LinuxABI

/// Where a file holds data (lseek(2), SEEK_DATA and SEEK_HOLE).
package enum SparseFile {
    @inline(never)
    package static func dataRuns(of file: borrowing Descriptor, size: UInt64) throws(SystemError) -> [(
        start: UInt64, length: UInt64
    )] {
        try FaultPoint.seekData.pass("lseek SEEK_DATA")
        var runs: [(start: UInt64, length: UInt64)] = []
        var position: UInt64 = 0
        while position < size {
            let data = ckernel_syscall(Int(SYS_lseek), Int(file.number), Int(position), Int(Seek.SEEK_DATA), 0, 0, 0)
            if data == -Int(ENXIO) { break }
            let start = UInt64(try SystemError.check(data, "lseek SEEK_DATA"))
            let hole = ckernel_syscall(Int(SYS_lseek), Int(file.number), Int(start), Int(Seek.SEEK_HOLE), 0, 0, 0)
            let end = min(size, UInt64(try SystemError.check(hole, "lseek SEEK_HOLE")))
            if end > start { runs.append((start, end - start)) }
            position = max(end, start + 1)
        }
        return runs
    }
}
