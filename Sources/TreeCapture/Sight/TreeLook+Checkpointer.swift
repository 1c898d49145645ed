internal import Kernel
internal import LinuxABI

/// What this process holds open where it belongs to the tree: in the image it has ended, so these ends are closed.
///
/// Each question is a walk over the descriptors of all processes of the host: done only where an end is held outside of the processes
/// that are saved.
extension TreeLook {
    /// Whether this process, which belongs to the tree, holds the other end of a pipe of the tree, and no process outside has it: that
    /// end closes when this process ends.
    ///
    /// - Parameters:
    ///   - link: what `/proc/PID/fd` shows for both ends.
    ///   - isWriter: which end is asked about.
    mutating func closesWithCheckpointer(_ link: [UInt8], isWriter: Bool) -> Bool {
        guard let own = members.checkpointer?.rawValue, Self.holds(own, link, isWriter: isWriter) else { return false }
        let inside = Set((members.processes + members.zombies).map(\.rawValue))
        for pid in (try? allProcesses()) ?? [] where !inside.contains(pid) {
            // A process that this one has made has all that it has.
            if (try? ProcessStat(of: pid))?.parent == own { continue }
            if Self.holds(pid, link, isWriter: isWriter) { return false }
        }
        return true
    }

    private static func holds(_ pid: Int32, _ link: [UInt8], isWriter: Bool?) -> Bool {
        for number in (try? descriptors(of: pid)) ?? [] where (try? descriptorTarget(of: pid, number)) == link {
            guard let isWriter else { return true }
            guard let info = try? DescriptorInfo(of: pid, descriptor: number) else { continue }
            let access = info.openFlags & OpenFlag.O_ACCMODE
            if access == OpenFlag.O_RDWR || (access == OpenFlag.O_WRONLY) == isWriter { return true }
        }
        return false
    }

    /// The same for a socket: every process that has it is this one, or one that it has made.
    mutating func closesWithCheckpointer(socket inode: UInt64) -> Bool {
        guard let own = members.checkpointer?.rawValue else { return false }
        let link = Array("socket:[\(inode)]".utf8)
        guard Self.holds(own, link, isWriter: nil) else { return false }
        for pid in (try? allProcesses()) ?? [] where pid != own {
            if (try? ProcessStat(of: pid))?.parent == own { continue }
            if Self.holds(pid, link, isWriter: nil) { return false }
        }
        return true
    }
}
