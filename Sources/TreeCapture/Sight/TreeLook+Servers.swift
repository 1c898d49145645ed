internal import HostProbe
internal import Kernel
internal import LinuxABI

/// Processes of the tree that answer for a file system (FUSE).
///
/// While they stand still nothing of that file system can be asked for: no attributes of a working directory or an open file,
/// no page of a mapping. A question would wait for an answer that comes only when the tree goes on. So they are found by the
/// links of `/proc` alone, which no file system is asked about, before anything else is looked at.
extension TreeLook {
    /// Notes where the descriptors of all processes lead, and refuses a connection of a file system that is mounted.
    ///
    /// A connection in a descriptor table of a thread of its own is not found: then the time limit of a checkpoint ends it.
    mutating func refuseServers() throws(CaptureError) {
        var findings: [Finding] = []
        for pid in members.processes {
            guard let tid = members.threads[pid]?.first?.tid, let numbers = try? descriptors(of: tid.rawValue) else { continue }
            let links = numbers.map { (number: $0, link: try? descriptorTarget(of: tid.rawValue, $0)) }
            descriptorLinks[tid] = links
            for (number, link) in links where link.map(Self.isConnection) == true {
                if let finding = connectionFinding(pid, tid, number) { findings.append(finding) }
            }
        }
        if !findings.isEmpty { throw CaptureError(findings: findings) }
    }

    static func isConnection(_ link: [UInt8]) -> Bool { link.elementsEqual("/dev/fuse".utf8) }

    /// Nil: it is no connection of a mounted file system; the recorder says what else it is.
    private func connectionFinding(_ pid: HostPid, _ tid: HostPid, _ number: Int32) -> Finding? {
        guard let info = try? Seen<DescriptorInfo>(ProcText.fdinfo(of: tid.rawValue, descriptor: number)),
            Self.isMounted(info.value, mounts: { try? ProcText.mounts(of: tid.rawValue) }),
            let status = try? FileStatus(ofDescriptor: number, of: tid.rawValue), let path = try? descriptorTarget(of: tid.rawValue, number)
        else { return nil }
        let seen = OpenFileSight(
            holder: tid, number: number, info: info, target: RawText(path), status: status, isFoundByName: true, mountNamespace: 0)
        let refusal = DeviceKind.refusal(seen)
        let help = [refusal.help, External.help(seen, at: number)].compactMap { $0 }.joined(separator: "; ")
        let command = (try? ProcessStat(of: pid.rawValue)).map { printable($0.comm) } ?? ""
        return Finding(
            pid: pid, command: command, object: "fd \(number)",
            reason: refusal.reason + "; nothing else was looked at, because it could not answer while the tree stands still", help: help)
    }

    /// Whether a connection leads to a file system: newer kernels say so; elsewhere it is taken for one where its
    /// holder sees any file system of that type.
    static func isMounted(_ info: DescriptorInfo, mounts: () -> [UInt8]?) -> Bool {
        if info.extra.contains(where: { $0.starts(with: "fuse_connection:".utf8) }) { return true }
        // A blank within a name is told as \040.
        let table = String(decoding: mounts() ?? [], as: UTF8.self)
        return [" - fuse ", " - fuse.", " - fuseblk "].contains { table.contains($0) }
    }
}
