internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

extension HostFacts {
    /// Who has locks on the files that the image has locks on. What the tree itself has counts as free, if it is to end before
    /// the restart.
    ///
    /// A holder in a pid namespace that `/proc` does not show is not seen: taking the lock fails then.
    mutating func probeLocks(of image: CheckpointImage, endOf tree: LivingTree?) {
        let wanted = ImageLocks(image)
        if wanted.all.isEmpty { return }
        let held = ((try? FileLockState.all()) ?? []).filter { !$0.isWaiting && $0.kind != .delegation }
        for path in Set(wanted.all.map(\.path)) {
            guard let status = try? FileStatus(of: path) else { continue }
            let here = held.filter { Self.isIt($0, path, status) }.map { lock in
                HeldLock(
                    kind: lock.kind == .flock ? .flock : lock.kind == .lease ? .lease : .range, isWrite: lock.isWrite, start: lock.start,
                    last: lock.last ?? .max, holder: Self.name(lock.pid))
            }
            if !here.isEmpty { locks[path] = here }
        }
        guard tree != nil else { return }
        for (path, lock, _) in wanted.all {
            let own = HeldLock(lock)
            let place = locks[path]?.firstIndex {
                ($0.kind, $0.isWrite, $0.start, $0.last) == (own.kind, own.isWrite, own.start, own.last)
            }
            if let place { locks[path]?.remove(at: place) }
        }
    }

    /// The kernel names the file system by its own number, where stat(2) tells one of a part of it (btrfs, overlayfs).
    private static func isIt(_ lock: FileLockState, _ path: [UInt8], _ status: FileStatus) -> Bool {
        guard lock.inode == status.inode else { return false }
        if (lock.major, lock.minor) == (status.device.majorNumber, status.device.minorNumber) { return true }
        guard lock.major == 0, let mounts = try? ProcText.mounts(of: Processes.ownPid) else { return false }
        return MountTable.device(of: path, in: mounts) == Array("\(lock.major):\(lock.minor)".utf8)
    }

    private static func name(_ pid: Int32) -> String {
        guard pid > 0 else { return "another program" }
        return "\(pid) " + ((try? ProcessStat(of: pid)).map { printable($0.comm) } ?? "(it has ended, and another process has its open file)")
    }
}
