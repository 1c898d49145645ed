internal import PidControl

/// The namespaces of a tree by the ids of their records.
struct NamespaceIDs {
    /// By place in the sight: the id, 0: it has no record.
    var ids: [UInt32] = []
    /// Of the root, in which all other pid namespaces of the tree are nested.
    var root: UInt32 = 0
    var rootIsInit = false
    /// The nested ones, outer ones first: parent as a place in this list from 1, 0 for that of the root.
    private(set) var nested: [(id: UInt32, parent: UInt32, initPid: UInt32)] = []
    private var numbers: [UInt32: Int] = [:]

    mutating func addNested(_ id: UInt32, in parent: UInt32, initPid: UInt32) {
        nested.append((id, UInt32(number(of: parent)), initPid))
        numbers[id] = nested.count
    }

    /// The place of a pid namespace in `nested` from 1; 0 for that of the root.
    func number(of id: UInt32) -> Int { numbers[id] ?? 0 }

    /// As the plan of the tree's creation wants them.
    var planned: PidNamespaces {
        PidNamespaces(rootIsInit: rootIsInit, nested: nested.lazy.map { (parent: $0.parent, initPid: $0.initPid) })
    }
}
