internal import Kernel
internal import LinuxABI

/// What is at the other end of something that cannot be saved. Looked for among all processes of the host, so only when the
/// tree goes on again.
package enum OtherEnd: Codable, Hashable, Sendable {
    /// The other end of a pipe.
    case pipe(inode: UInt64, isWriter: Bool)
    /// A unix socket.
    case socket(inode: UInt64)
    /// A TCP connection, as its other end sees it.
    case connection(from: String, to: String)
}

extension CaptureError {
    /// The same with the programs at the other ends of what the findings name. Reads `/proc` of the whole host.
    package func namingOtherEnds() -> CaptureError {
        let ends = Set(findings.compactMap(\.otherEnd))
        if ends.isEmpty { return self }
        let holders = EndHolders.find(ends)
        var named = self
        for index in named.findings.indices {
            guard let end = named.findings[index].otherEnd, let found = holders[end] else { continue }
            named.findings[index].reason += "; its other end: \(found)"
        }
        return named
    }
}

private enum EndHolders {
    /// By end: the first holder, and how many others there are.
    static func find(_ ends: Set<OtherEnd>) -> [OtherEnd: String] {
        var wanted: [[UInt8]: [OtherEnd]] = [:]
        let connections = ConnectionTable.inodes()
        for end in ends {
            switch end {
            case .pipe(let inode, _): wanted[Array("pipe:[\(inode)]".utf8), default: []].append(end)
            case .socket(let inode): wanted[Array("socket:[\(inode)]".utf8), default: []].append(end)
            case .connection(let from, let to):
                guard let inode = connections["\(from) \(to)"] else { continue }
                wanted[Array("socket:[\(inode)]".utf8), default: []].append(end)
            }
        }
        var found: [OtherEnd: (first: String, pids: Set<Int32>)] = [:]
        for pid in (try? allProcesses()) ?? [] where pid != Processes.ownPid {
            for number in (try? descriptors(of: pid)) ?? [] {
                guard let link = try? readLink("/proc/\(pid)/fd/\(number)"), let here = wanted[link] else { continue }
                for end in here where isIt(end, pid, number) {
                    let name = (try? ProcessStat(of: pid)).map { printable($0.comm) } ?? ""
                    found[end, default: ("fd \(number) of \(pid) \(name)", [])].pids.insert(pid)
                }
            }
        }
        return found.mapValues { $0.first + ($0.pids.count > 1 ? " and \($0.pids.count - 1) further processes" : "") }
    }

    private static func isIt(_ end: OtherEnd, _ pid: Int32, _ number: Int32) -> Bool {
        guard case .pipe(_, let isWriter) = end else { return true }
        guard let info = try? DescriptorInfo(of: pid, descriptor: number) else { return false }
        let access = info.openFlags & OpenFlag.O_ACCMODE
        return access == OpenFlag.O_RDWR || (access == OpenFlag.O_WRONLY) == isWriter
    }
}
