internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension Recorder {
    /// A record for every namespace that a task of the tree is in or has its children in, owners before what they own,
    /// outer ones before those nested in them.
    mutating func recordNamespaces() {
        guard let root = sight.processes.first else { return }
        namespaces.ids = [UInt32](repeating: 0, count: sight.namespaces.count)
        namespaces.rootIsInit = root.status.value.namespaceProcessIDs.last == 1
        for kind in NamespaceSight.Kind.allCases where kind != .pid && kind != .mount {
            for place in places(of: kind) { add(place) }
        }
        recordPidNamespaces(root)
        for place in places(of: .mount) { add(place) }
        fillMounts()
        checkKinds()
        checkTime()
        noteStrangers()
    }

    private func places(of kind: NamespaceSight.Kind) -> [Int] {
        sight.namespaces.indices.filter { sight.namespaces[$0].kind == kind }.map { $0 + 1 }
    }

    private static let imageKinds: [NamespaceSight.Kind: ImageNamespace.Kind] = [
        .user: .user, .mount: .mount, .pid: .pid, .network: .network, .ipc: .ipc, .hostName: .hostName, .cgroup: .cgroup,
        .time: .time,
    ]

    @discardableResult
    private mutating func add(_ place: Int, parent: UInt32 = 0, _ payload: ImageNamespace.OneOf_Payload? = nil) -> UInt32 {
        let seen = sight[namespace: place]
        var record = ImageNamespace()
        record.id = UInt32(records.namespaces.count + 1)
        record.kind = Self.imageKinds[seen.kind] ?? .mount
        record.isSurrounding = seen.isOwn || seen.keepsNumbers == true
        record.parent = parent
        record.payload = payload
        if let owner = seen.owner {
            record.owner = places(of: .user).first { sight[namespace: $0].link == owner }.map { namespaces.ids[$0 - 1] } ?? 0
        }
        if seen.kind == .time {
            var time = ImageTimeNamespace()
            time.monotonicOffset = seen.monotonicOffset ?? 0
            time.boottimeOffset = seen.boottimeOffset ?? 0
            record.payload = .time(time)
        }
        records.namespaces.append(record)
        namespaces.ids[place - 1] = record.id
        return record.id
    }

    private func pidPayload(_ initPid: UInt32) -> ImageNamespace.OneOf_Payload {
        var payload = ImagePidNamespace()
        payload.init_p = initPid
        return .pid(payload)
    }

    // MARK: - Pid namespaces

    private struct Member {
        var pid: HostPid
        var place: Int
        /// In each pid namespace from that of crcheckpoint's `/proc` inwards.
        var numbers: [UInt32]
        var isZombie: Bool
    }

    private var members: [Member] {
        sight.processes.map { Member(pid: $0.pid, place: $0.pidNamespace, numbers: $0.status.value.namespaceProcessIDs, isZombie: false) }
            + sight.zombies.map { Member(pid: $0.pid, place: $0.pidNamespace, numbers: $0.status.value.namespaceProcessIDs, isZombie: true) }
    }

    private mutating func recordPidNamespaces(_ root: ProcessSight) {
        namespaces.root = add(
            root.pidNamespace, pidPayload(namespaces.rootIsInit ? imagePids[root.pid]?.rawValue ?? 0 : 0))
        records.namespaces[records.namespaces.count - 1].isSurrounding = !namespaces.rootIsInit
        let members = members.filter { $0.place != root.pidNamespace }
        let inits = Dictionary(members.filter { $0.numbers.last == 1 }.map { ($0.place, $0) }) { first, _ in first }
        for place in Set(members.map(\.place)).sorted() where inits[place] == nil {
            guard let member = members.filter({ $0.place == place }).map(\.pid).min() else { continue }
            find(
                member, "task", "lives in a pid namespace (\(sight[namespace: place].link.shown)) whose init is not in the tree",
                help: "checkpoint a tree that holds its init, too")
        }
        for one in inits.values.sorted(by: { ($0.numbers.count, $0.pid) < ($1.numbers.count, $1.pid) }) {
            let around = sight[namespace: one.place].parent
            let parent = around.flatMap { around in places(of: .pid).first { sight[namespace: $0].link == around } }
                .map { namespaces.ids[$0 - 1] } ?? 0
            guard parent != 0 else {
                find(
                    one.pid, "task",
                    "is the init of a pid namespace inside of one (\(around?.shown ?? "?")) whose init is not in the tree")
                continue
            }
            let initPid = imagePids[one.pid]?.rawValue ?? 0
            namespaces.addNested(add(one.place, parent: parent, pidPayload(initPid)), in: parent, initPid: initPid)
        }
        recordNamespacesForChildren(deadInits: Set(inits.values.filter(\.isZombie).map(\.place)))
    }

    /// Where the children of each thread are born, if not in its own namespace: see unshare(2) and setns(2).
    private mutating func recordNamespacesForChildren(deadInits: Set<Int>) {
        for (process, thread) in sight.threads {
            let place = thread.namespaces.pidForChildren
            if place == process.pidNamespace || place == 0 { continue }
            if sight[namespace: place].parentID != nil {
                let parent = namespaces.ids[process.pidNamespace - 1]
                namespaces.addNested(add(place, parent: parent, pidPayload(0)), in: parent, initPid: 0)
            } else if namespaces.ids[place - 1] == 0 {
                find(
                    process.pid, "thread \(thread.tid)",
                    "has a pid namespace for its children (\(sight[namespace: place].link.shown)) in which no process of the tree is",
                    help: "where its init has ended no process can be born any more")
            } else if deadInits.contains(place) {
                find(process.pid, "thread \(thread.tid)", "has a pid namespace for its children whose init has ended, which cannot be made again")
            }
        }
    }

    // MARK: - Mount namespaces

    /// A mount namespace has a `/proc` of a pid namespace of the tree, or its mounts are as good as those of crcheckpoint.
    private mutating func fillMounts() {
        let deadInits = Set(sight.zombies.compactMap { imagePids[$0.pid]?.rawValue })
        for place in places(of: .mount) {
            let seen = sight[namespace: place]
            guard let theirs = seen.mounts?.value, let user = firstProcess(inMount: place) else { continue }
            if !seen.isOwn, let ours = sight.host.mounts?.value, !theirs.matches(ours) {
                let differences = theirs.differences(from: ours)
                let more = differences.count > 3 ? " and \(differences.count - 3) more" : ""
                find(
                    user, "task", "lives in another mnt namespace, which cannot be saved yet",
                    help: "its mounts differ from ours: \(differences.prefix(3).joined(separator: ", "))\(more)")
            }
            guard let shown = seen.shownByProc, let proc = theirs.proc,
                let id = places(of: .pid).first(where: { sight[namespace: $0].link == shown }).map({ namespaces.ids[$0 - 1] }),
                id != 0, id != namespaces.root || namespaces.rootIsInit
            else { continue }
            if let first = namespaces.nested.first(where: { $0.id == id })?.initPid, deadInits.contains(first) {
                find(user, "task", "has a /proc of a pid namespace whose init has ended, which cannot be made again")
            }
            if !proc.options.isEmpty {
                find(user, "task", "has a /proc with options that cannot be saved yet: \(proc.options.joined(separator: ","))")
            }
            var mount = ImageMountNamespace()
            mount.procNamespace = id
            mount.procFlags = proc.flags
            records.namespaces[Int(namespaces.ids[place - 1]) - 1].payload = .mount(mount)
        }
    }

    private func firstProcess(inMount place: Int) -> HostPid? {
        sight.threads.first { $0.thread.namespaces.mount == place }?.process.pid
    }

    /// Processes that could not join their mount namespaces at a restart: setns(2) wants directories that no other task
    /// has, and each its own descriptors.
    mutating func checkMountNamespaces() {
        let own = Set(records.namespaces.filter { $0.kind == .mount && $0.mount.procNamespace != 0 }.map(\.id))
        if own.isEmpty { return }
        let tables = Dictionary(grouping: sight.processes, by: \.door.table)
        let directories = Dictionary(grouping: sight.processes, by: \.door.directories)
        let inits = Set(namespaces.nested.map(\.initPid) + [records.processes.first?.pid ?? 0])
        for process in sight.processes {
            let isInit = imagePids[process.pid].map { inits.contains($0.rawValue) } ?? false
            let joins = own.contains(identities.id(process.door.namespaces.mount))
            let sharesTable = (tables[process.door.table]?.count ?? 0) > 1
            let sharesDirectories = (directories[process.door.directories]?.count ?? 0) > 1
            guard sharesTable || sharesDirectories && (joins || isInit) else { continue }
            find(
                process.pid, "task",
                "shares descriptors or directories by clone flags in a tree with a /proc of its own, which cannot be saved yet")
        }
    }

    // MARK: - Other kinds

    /// Namespaces that are not crcheckpoint's own cannot be made again yet, but for pid, mount and time namespaces.
    private mutating func checkKinds() {
        let kinds: [(NamespaceSight.Kind, KeyPath<TaskNamespaces, Int>)] = [
            (.network, \.network), (.ipc, \.ipc), (.hostName, \.hostName), (.user, \.user), (.cgroup, \.cgroup),
        ]
        for (process, thread) in sight.threads {
            for (kind, path) in kinds {
                let place = thread.namespaces[keyPath: path]
                guard place != 0, !sight[namespace: place].isOwn else { continue }
                // A restart makes it again where it is needed; outside of it these capabilities would be far more.
                if kind == .user, sight[namespace: place].keepsNumbers == true {
                    let status = process.status(of: thread)
                    if status.permittedCapabilities | status.inheritableCapabilities == 0 { continue }
                }
                let isDoor = thread.tid == process.door.tid
                if !isDoor && place == process.door.namespaces[keyPath: path] { continue }
                find(process.pid, isDoor ? "task" : "thread \(thread.tid)", "lives in another \(kind.link) namespace, which cannot be saved yet")
            }
        }
    }

    /// A tree's clocks are made again by their offsets: it needs to be one pair of clocks for all.
    private mutating func checkTime() {
        guard let root = sight.processes.first?.door.namespaces.time, root != 0 else { return }
        for (process, thread) in sight.threads where thread.namespaces.time != 0 {
            let isDoor = thread.tid == process.door.tid
            let object = isDoor ? "task" : "thread \(thread.tid)"
            if thread.namespaces.timeForChildren != thread.namespaces.time {
                find(process.pid, object, "has made a time namespace for its children, which cannot be saved yet")
            }
            if isDoor && thread.namespaces.time != root {
                find(process.pid, object, "lives in another time namespace than the root, which cannot be saved yet")
            }
        }
    }

    /// Says which processes are in the tree's pid namespaces without being of the tree: they came by setns(2).
    private mutating func noteStrangers() {
        if sight.strangers.isEmpty { return }
        let names = sight.strangers.prefix(3).map { "\($0.pid) \($0.command.shown)" }.joined(separator: ", ")
        let more = sight.strangers.count > 3 ? " and \(sight.strangers.count - 3) more" : ""
        notice("\(names)\(more) came into a pid namespace of the tree from outside: not of the tree, and not saved")
    }
}
