internal import CKernel
internal import Glibc
internal import LinuxABI

/// A process of this program that does not end with it: what ends the command by its process group, its terminal or a pipe does not reach it,
/// and it keeps nothing that belongs to others.
///
/// - Source: setsid(2), close_range(2).
package enum StayingProcess {
    /// Forks one. It has a session and a name of its own, `/` as directory, `/dev/null` as its standard descriptors, and of the others only those
    /// that are named. It is single-threaded and leaves by `exitNow`.
    ///
    /// - Parameters:
    ///   - name: 15 bytes at most, as ps(1) shows it.
    ///   - point: what it is for.
    ///   - numbers: descriptors that it keeps.
    ///   - keepsErrors: whether it keeps standard error.
    ///   - hearsSignals: whether a signal such as SIGTERM ends it; otherwise only SIGKILL does.
    /// - Returns: 0 in the new process.
    package static func start(
        _ name: String, at point: FaultPoint, keeping numbers: [Int32], keepsErrors: Bool = false, hearsSignals: Bool = false
    ) throws(SystemError) -> Int32 {
        let child = try Processes.fork(at: point)
        if child != 0 { return child }
        if hearsSignals { SignalMask.allowAll() } else { SignalMask.blockAll() }
        Processes.leaveSession()
        Processes.setName(name)
        _ = withPath("/") { ckernel_syscall(Int(SYS_chdir), $0, 0, 0, 0, 0, 0) }
        closeStandard(keepsErrors ? 0...1 : 0...2)
        DescriptorTable.closeAll(from: 3, but: Set(numbers.map { UInt32(bitPattern: $0) }))
        return 0
    }

    /// Where there is no `/dev/null` they are closed.
    private static func closeStandard(_ numbers: ClosedRange<Int32>) {
        // Closed with all others: not below 3 unless one of these is closed already, and then it may stay there.
        let null = withPath("/dev/null") { ckernel_syscall(Int(SYS_openat), Int(AT_FDCWD), $0, Int(O_RDWR), 0, 0, 0) }
        for number in numbers {
            if null < 0 { DescriptorTable.close(number) } else { _ = ckernel_syscall(Int(SYS_dup3), null, Int(number), 0, 0, 0, 0) }
        }
    }
}
