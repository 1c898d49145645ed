internal import Kernel

/// Which tasks have the same thing: memory, descriptors and so on, as kcmp(2) tells.
///
/// The kernel compares two tasks at a time and puts its objects into an order: one binary search for each task finds
/// out.
struct Identities {
    /// The place of a task among those that were looked at before.
    struct Found {
        /// The id of what it has, if another task has the same.
        var id: Int?
        fileprivate var task: Int32
        fileprivate var kind: SharedKind
        fileprivate var place: Int
    }

    private struct Holder {
        var task: Int32
        var id: Int
    }

    /// By kind: one task that has each object, in the kernel's order.
    private var holders: [SharedKind: [Holder]] = [:]
    /// Signal actions are shared only together with memory: by the id of that.
    private var actionHolders: [Int: [Holder]] = [:]
    private var actionCount = 0
    private var lateCounts: [SharedKind: Int] = [:]
    private let own = Processes.ownPid

    /// Looks for a thing that every task has.
    ///
    /// - Parameter like: a task that most likely has the same, and its id.
    func find(_ task: Int32, _ kind: SharedKind, like other: (task: Int32, id: Int)? = nil) throws(SystemError) -> Found {
        if let other, try compare(kind, of: other.task, with: task) == .same {
            return Found(id: other.id, task: task, kind: kind, place: 0)
        }
        let (same, place) = try Kernel.find(among: holders[kind] ?? []) { holder throws(SystemError) in
            try compare(kind, of: task, with: holder.task)
        }
        return Found(id: same?.id, task: task, kind: kind, place: place)
    }

    /// Notes what no task before had.
    mutating func add(_ found: Found, id: Int) {
        holders[found.kind, default: []].insert(Holder(task: found.task, id: id), at: found.place)
    }

    /// The number of what comes into being when it is first needed; 0: it has none. crcheckpoint itself has none, and
    /// compares equal with every task that has none.
    ///
    /// - Parameter like: a task that most likely has the same, and its number.
    mutating func number(
        ofLate kind: SharedKind, _ task: Int32, like other: (task: Int32, id: Int)? = nil
    ) throws(SystemError) -> Int {
        if let other, other.id != 0, try compare(kind, of: other.task, with: task) == .same { return other.id }
        if try compare(kind, of: own, with: task) == .same { return 0 }
        let found = try find(task, kind)
        if let id = found.id { return id }
        let id = lateCounts[kind, default: 0] + 1
        lateCounts[kind] = id
        add(found, id: id)
        return id
    }

    /// The number of the signal actions of a task that has a certain memory.
    mutating func actions(of task: Int32, space: Int) throws(SystemError) -> Int {
        let (same, place) = try Kernel.find(among: actionHolders[space] ?? []) { holder throws(SystemError) in
            try compare(.signalActions, of: task, with: holder.task)
        }
        if let same { return same.id }
        actionCount += 1
        actionHolders[space, default: []].insert(Holder(task: task, id: actionCount), at: place)
        return actionCount
    }

    /// A task that has the same as one outside of the tree. Of what comes into being late, having none is not the same.
    func holder(of kind: SharedKind, sameAs task: Int32) -> Int32? {
        let isLate = kind == .semaphoreUndo || kind == .diskContext
        if isLate, ((try? compare(kind, of: own, with: task)) ?? .same) == .same { return nil }
        let found = try? Kernel.find(among: holders[kind] ?? []) { holder throws(SystemError) in
            try compare(kind, of: task, with: holder.task)
        }
        return found?.same?.task
    }
}
