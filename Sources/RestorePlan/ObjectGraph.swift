import CheckpointImage
import PidControl

/// Decides which process makes each open file, and in which order.
///
/// The nodes of the graph are open files; files that are made together are one *bundle*. Edges are holders (processes with
/// a descriptor of the file) and references (from an epoll to the files that it watches, for instance).
///
/// - A bundle of several holders is made by their lowest common creator, at high descriptors that they inherit. A bundle
///   of one holder is made by that process, when it installs its descriptors.
/// - References are set up afterwards, in `connect`, by one holder of the file that refers to the other. So references
///   can make circles.
/// - A file that has to wait for a process (``SavedObject/awaited``) which may not exist yet when its bundle would be
///   made is *late*: its first holder makes it when all of the tree is there, and the other holders fetch it from there.
/// - A file that is made last (``SavedObject/isMadeLast``) is in no bundle at all: its `go` makes it.
/// - A file without a descriptor is held, until `connect` is done, by the process that connects a file which refers to it.
///   If no file refers to it, the root holds it.
struct ObjectGraph {
    struct Bundle: Sendable, Equatable {
        /// In the order of the image.
        var files: [UInt32]
    }

    /// Open file id -> its descriptor while the tree is built. A file that a descriptor of crrestart replaces has none.
    private(set) var number: [UInt32: UInt32] = [:]
    /// Process -> bundles that it makes before it forks, in this order, because descendants inherit them.
    private(set) var shared: [UInt32: [Bundle]] = [:]
    /// Process -> bundles that only it uses, made when it installs its descriptors.
    private(set) var own: [UInt32: [Bundle]] = [:]
    /// Process -> open files for which it does `connect` and `go`, because it is their first holder.
    private(set) var kept: [UInt32: [UInt32]] = [:]
    /// Process -> files that it makes late.
    private(set) var late: [UInt32: [UInt32]] = [:]
    /// Process -> late files that it gets from another process.
    private(set) var fetched: [UInt32: [Fetch]] = [:]
    /// How many processes fetch a late file.
    private(set) var fetchers: [UInt32: Int] = [:]
    /// Processes that late files wait for.
    private(set) var awaited: Set<UInt32> = []

    struct Fetch: Sendable, Equatable {
        var file: UInt32
        /// The process that makes it.
        var maker: UInt32
    }

    /// - Parameters:
    ///   - holders: by process, the ids of the files that it holds.
    ///   - stands: whether a descriptor of crrestart replaces a file.
    ///   - place: the descriptor of a file, by its place among those that are made.
    ///   - ancestor: the lowest common creator of two processes; it can be one of the two.
    init(
        _ files: [ImageOpenFile], holders: [(pid: UInt32, files: [UInt32])], root: UInt32, place: (Int) -> UInt32,
        stands: (ImageOpenFile) -> Bool, ancestor: (UInt32, UInt32) -> UInt32
    ) {
        var users: [UInt32: Set<UInt32>] = [:]
        var keeper: [UInt32: UInt32] = [:]
        for holder in holders {
            for file in holder.files {
                users[file, default: []].insert(holder.pid)
                if keeper[file] == nil {
                    keeper[file] = holder.pid
                    kept[holder.pid, default: []].append(file)
                }
            }
        }
        let references = Dictionary(
            files.map { file in (file.id, Self.files(in: file.saved?.references ?? [])) }, uniquingKeysWith: { first, _ in first })
        let isHeld = Set(keeper.keys)
        // Starts at files with a descriptor and follows references to files without one.
        var waiting = files.map(\.id).filter { keeper[$0] != nil }[...]
        var unheld = files.map(\.id).filter { keeper[$0] == nil }[...]
        while true {
            guard let file = waiting.popFirst() else {
                guard let next = unheld.popFirst() else { break }
                if keeper[next] != nil { continue }
                keeper[next] = root
                users[next, default: []].insert(root)
                kept[root, default: []].append(next)
                waiting.append(next)
                continue
            }
            guard let pid = keeper[file] else { continue }
            for other in references[file] ?? [] {
                // The process that connects the two files needs both, even where it has no descriptor of `other` itself.
                users[other, default: []].insert(pid)
                if keeper[other] == nil {
                    keeper[other] = pid
                    kept[pid, default: []].append(other)
                    waiting.append(other)
                }
            }
        }
        for file in files where !stands(file) { number[file.id] = place(number.count) }
        let waits = Dictionary(
            files.compactMap { file in file.saved?.awaited.map { (file.id, $0) } }, uniquingKeysWith: { first, _ in first })
        let madeByRoot = Set(files.filter { $0.saved?.isMadeByRoot == true }.map(\.id))
        for bundle in Self.bundles(files.filter { !stands($0) && $0.saved?.isMadeLast != true }, references) {
            var makers = bundle.files.flatMap { users[$0] ?? [] }[...]
            guard let one = makers.popFirst() else { continue }
            let isRoots = bundle.files.contains { madeByRoot.contains($0) }
            let maker = isRoots ? root : makers.reduce(one, ancestor)
            if let file = bundle.files.first, let target = waits[file], ancestor(target, maker) != target, let holder = keeper[file] {
                late[holder, default: []].append(file)
                awaited.insert(target)
                for user in (users[file] ?? []).sorted() where user != holder {
                    fetched[user, default: []].append(Fetch(file: file, maker: holder))
                    fetchers[file, default: 0] += 1
                }
                continue
            }
            let isAlone = !isRoots && bundle.files.allSatisfy { users[$0] == [maker] }
            if isAlone { own[maker, default: []].append(bundle) } else { shared[maker, default: []].append(bundle) }
        }
        unheldFiles = Set(files.map(\.id)).subtracting(isHeld)
    }

    /// Files that no descriptor table holds.
    let unheldFiles: Set<UInt32>

    private static func files(in references: [ObjectReference]) -> [UInt32] {
        references.compactMap { if case .openFile(let id) = $0 { id } else { nil } }
    }

    /// Bundles in the order in which they are made: a file comes after the files that it refers to, except in a circle.
    private static func bundles(_ files: [ImageOpenFile], _ references: [UInt32: [UInt32]]) -> [Bundle] {
        var bundles: [Bundle] = []
        var place: [UInt32: Int] = [:]
        var known: [ObjectReference: Int] = [:]
        for file in files {
            if let key = file.saved?.bundle, let index = known[key] {
                bundles[index].files.append(file.id)
                place[file.id] = index
                continue
            }
            if let key = file.saved?.bundle { known[key] = bundles.count }
            place[file.id] = bundles.count
            bundles.append(Bundle(files: [file.id]))
        }
        var ordered: [Bundle] = []
        var isVisited = [Bool](repeating: false, count: bundles.count)
        for start in bundles.indices where !isVisited[start] {
            // Depth first without recursion: an image can hold a chain that is longer than the stack allows.
            var path: [(index: Int, wants: ArraySlice<Int>)] = []
            func enter(_ index: Int) {
                isVisited[index] = true
                path.append((index, bundles[index].files.flatMap { references[$0] ?? [] }.compactMap { place[$0] }[...]))
            }
            enter(start)
            while let last = path.indices.last {
                if let wanted = path[last].wants.popFirst() {
                    if !isVisited[wanted] { enter(wanted) }
                } else {
                    ordered.append(bundles[path[last].index])
                    path.removeLast()
                }
            }
        }
        return ordered
    }
}

extension ObjectGraph {
    /// - Parameter owners: of processes that share a descriptor table, only the owner counts as a holder of its files.
    init(_ valid: ValidImage, high: RestorePlan.HighDescriptors, _ owners: SharedOwners) {
        let (image, creation) = (valid.image, valid.creation)
        var holders: [(pid: UInt32, files: [UInt32])] = []
        for process in image.processes where process.state != .zombie {
            var files: [UInt32] = []
            if owners.owns(.files, process) { files += image.fileTable(of: process)?.descriptors.map(\.file) ?? [] }
            var seen: Set<UInt32> = []
            for thread in image.threads(of: process.pid) {
                guard let table = image.ownFileTable(of: thread), seen.insert(table.id).inserted else { continue }
                files += table.descriptors.map(\.file)
            }
            holders.append((process.pid, files))
        }
        self.init(
            image.openFiles, holders: holders, root: image.root.pid,
            place: high.file,
            stands: { ObjectPlans.stands($0, valid.facts) }
        ) { first, second in
            // Ends at the root at the latest: it creates all other processes, directly or not.
            var first = first
            while !creation.created(first, second), let creator = creation.task(first)?.creator { first = creator }
            return first
        }
    }
}
