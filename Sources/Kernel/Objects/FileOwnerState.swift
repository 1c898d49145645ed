internal import CKernel
internal import Glibc
internal import LinuxABI

/// Who gets the signals of an open file (fcntl(2), F_GETOWN_EX and F_GETSIG).
package struct FileOwnerState: Equatable, Sendable {
    /// F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP.
    package var type: UInt32
    /// In the pid namespace of this process; 0: no owner, or one that has ended.
    package var number: UInt32
    /// 0: SIGIO, without data.
    package var signal: UInt32

    package init(type: UInt32, number: UInt32, signal: UInt32) {
        self.type = type
        self.number = number
        self.signal = signal
    }

    /// Asks by a copy of the descriptor.
    ///
    /// - Precondition: closing a copy has no effect on the file: not so on FUSE and network file systems, which are told,
    ///   and for input devices.
    @inline(never)
    package static func read(of pid: Int32, descriptor: Int32) throws(SystemError) -> FileOwnerState? {
        let copy = try Descriptor.open(task: pid).duplicate(remote: descriptor)
        var owner: (type: Int32, number: Int32) = (0, 0)
        let asked = unsafe withUnsafeMutablePointer(to: &owner) { pointer in
            ckernel_syscall(Int(SYS_fcntl), Int(copy.number), Int(Fcntl.F_GETOWN_EX), Int(bitPattern: pointer), 0, 0, 0)
        }
        // EBADF: opened by O_PATH, which has none.
        if asked == -Int(EBADF) { return nil }
        _ = try SystemError.check(asked, "fcntl F_GETOWN_EX")
        let signal = ckernel_syscall(Int(SYS_fcntl), Int(copy.number), Int(Fcntl.F_GETSIG), 0, 0, 0, 0)
        let state = FileOwnerState(
            type: UInt32(bitPattern: owner.type), number: UInt32(max(0, owner.number)),
            signal: UInt32(try SystemError.check(signal, "fcntl F_GETSIG")))
        return state.number == 0 && state.signal == 0 ? nil : state
    }
}
