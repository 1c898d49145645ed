internal import CKernel
internal import Glibc

/// The list of locks that the kernel releases when a thread dies.
///
/// - Source: get_robust_list(2).
package struct RobustList: Equatable, Sendable {
    /// Address of the head in the task; 0: none.
    package var head: UInt64
    /// Bytes of the head.
    package var length: UInt64

    package init(head: UInt64, length: UInt64) {
        self.head = head
        self.length = length
    }

    /// Of one task; 0 is the calling thread. For a 32-bit task the kernel shows another list: not it.
    @inline(never)
    package init(of task: Int32) throws(SystemError) {
        try FaultPoint.getRobustList.pass("get_robust_list")
        var head: UInt = 0
        var length: UInt = 0
        // Both are filled with one word each.
        let result = unsafe withUnsafeMutablePointer(to: &head) { headPointer in
            unsafe withUnsafeMutablePointer(to: &length) { lengthPointer in
                ckernel_syscall(
                    Int(SYS_get_robust_list), Int(task), Int(bitPattern: headPointer),
                    Int(bitPattern: lengthPointer), 0, 0, 0)
            }
        }
        _ = try SystemError.check(result, "get_robust_list")
        self.init(head: UInt64(head), length: UInt64(length))
    }
}
