internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI

/// What a restart of an image asks of this host: with which rights its tasks run, and what of the host they get.
struct Demands {
    let image: CheckpointImage

    /// Rows of two columns; what is asked for by nothing has none.
    var rows: [[String]] {
        let all: [(String, [String])] = [
            ("users", users), ("groups", groups), ("capabilities", capabilities), ("confinement", confinement), ("set-id files", setIDFiles), ("devices", devices),
            ("namespaces", namespaces), ("limits", limits), ("addresses", addresses), ("priorities", priorities),
        ]
        return all.filter { !$0.1.isEmpty }.flatMap { title, lines in
            lines.enumerated().map { [$0.offset == 0 ? title : "", $0.element] }
        }
    }

    /// The most lines of one kind.
    private static let most = 8

    private func listed(_ lines: [String]) -> [String] {
        let each = lines.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        return each.count <= Self.most ? each : each.prefix(Self.most) + ["and \(each.count - Self.most) more"]
    }

    private func numbers(_ values: (ImageCredentials) -> [UInt32]) -> [String] {
        let found = Set(image.threads.map(\.credentials).flatMap(values)).sorted()
        guard !found.isEmpty else { return [] }
        let shown = found.prefix(32).map(String.init).joined(separator: ", ")
        return [shown + (found.count > 32 ? " and \(found.count - 32) more" : "")]
    }

    private var users: [String] { numbers { [$0.realUser, $0.effectiveUser, $0.savedUser, $0.fileSystemUser] } }
    private var groups: [String] { numbers { [$0.realGroup, $0.effectiveGroup, $0.savedGroup, $0.fileSystemGroup] + $0.groups } }

    private var capabilities: [String] {
        let set = image.threads.map(\.credentials).reduce(0) { $0 | $1.permitted | $1.inheritable | $1.ambient }
        guard set != 0 else { return [] }
        let missing = Capabilities.names(of: Capabilities.known & ~set)
        if missing.isEmpty { return ["all"] }
        return [missing.count <= Self.most ? "all but \(missing.joined(separator: ", "))" : Capabilities.names(of: set).joined(separator: ", ")]
    }

    private var confinement: [String] {
        let filtered = image.threads.count { !$0.callFilters.isEmpty }
        let barred = image.threads.count { $0.noNewPrivileges }
        return [
            filtered > 0 ? "\(counted(filtered, "thread")) under seccomp" : nil,
            barred > 0 ? "\(counted(barred, "thread")) that cannot gain privileges (no_new_privs)" : nil,
        ].compactMap { $0 }
    }

    /// Nameless files are made anew with the mode that they had.
    private var setIDFiles: [String] {
        listed(
            image.memoryObjects.filter { $0.mode & 0o6000 != 0 }.map { "\($0.name.asText), mode \(String($0.mode, radix: 8)), owner \($0.owner)" })
    }

    private var devices: [String] {
        listed(image.openFiles.filter { if case .device? = $0.object { true } else { false } }.map { $0.summary(in: image) })
    }

    private var namespaces: [String] {
        listed(image.namespaces.filter { !$0.isSurrounding }.map { "\($0.kind)" })
    }

    /// Those that are above the ones of crimage.
    private var limits: [String] {
        let own = Processes.resourceLimits()
        return listed(
            image.processes.flatMap { process in
                process.limits.filter { limit in own.indices.contains(Int(limit.resource)) && limit.hard > own[Int(limit.resource)].hard }
                    .map { "limit \($0.resource) of \($0.hard), ours is \(own[Int($0.resource)].hard)" }
            })
    }

    private var addresses: [String] {
        listed(
            image.openFiles.filter { file in
                switch file.object {
                case .inet?, .tcp?, .packet?: true
                default: false
                }
            }.map { $0.summary(in: image) })
    }

    private var priorities: [String] {
        listed(
            image.threads.filter { $0.scheduling.nice < 0 || [1, 2, 6].contains($0.scheduling.policy) }.map {
                $0.scheduling.nice < 0 ? "nice \($0.scheduling.nice)" : "policy \($0.scheduling.policy), priority \($0.scheduling.priority)"
            })
    }
}
