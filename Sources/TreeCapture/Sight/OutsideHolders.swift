internal import Kernel
internal import LinuxABI

/// Processes outside of the tree that have something open which has to be the tree's alone, or that meet it there.
///
/// A walk over the descriptors of all processes of the host: done only where the tree has a lock that belongs to an open file, or a FIFO.
extension TreeLook {
    mutating func lookForOutsideHolders() {
        var wanted: [[UInt8]: [Int]] = [:]
        for (index, file) in sight.files.enumerated() where hasOwnLock(file) || file.status.kind == .pipe && isNamed(file) {
            wanted[file.target.bytes, default: []].append(index)
        }
        if wanted.isEmpty { return }
        let own = Set(members.processes.map(\.rawValue)).union([Processes.ownPid])
        let deleted = Array(" (deleted)".utf8)
        for pid in (try? allProcesses()) ?? [] where !own.contains(pid) {
            for number in (try? descriptors(of: pid)) ?? [] {
                guard var link = try? descriptorTarget(of: pid, number) else { continue }
                if wanted[link] == nil && link.suffix(deleted.count) == deleted[...] { link.removeLast(deleted.count) }
                for index in wanted[link] ?? [] { look(at: index, pid, number) }
            }
        }
    }

    private mutating func look(at index: Int, _ pid: Int32, _ number: Int32) {
        let file = sight.files[index]
        let name = "\(pid) \((try? ProcessStat(of: pid)).map { printable($0.comm) } ?? "")"
        if file.status.kind == .pipe {
            if (try? FileStatus(ofDescriptor: number, of: pid))?.isSameFile(as: file.status) == true {
                sight.files[index].details["fifoHolder"] = RawText(name)
            }
        }
        if (try? compare(.openFile, of: file.holder.rawValue, file.number, with: pid, number)) == .same {
            sight.files[index].details["lockSharer"] = RawText(name)
        }
    }

    private func isNamed(_ file: OpenFileSight) -> Bool { file.target.bytes.first == UInt8(ascii: "/") && !file.isPathOnly }

    /// Whether it has a lock that belongs to the open file.
    private func hasOwnLock(_ file: OpenFileSight) -> Bool {
        file.info.value.locks.contains { FileLockState(parsing: $0).map { $0.kind != .posix } ?? false }
    }
}
