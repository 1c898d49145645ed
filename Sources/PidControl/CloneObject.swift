/// What processes have in common if one was made by clone(2) with the flag for it, and did not part with it since.
package enum CloneObject: Int, Sendable, CaseIterable {
    case memory, files, directories, actions, undo, disk

    /// - Source: linux/sched.h: `CLONE_VM`, `CLONE_FILES`, `CLONE_FS`, `CLONE_SIGHAND`, `CLONE_SYSVSEM`, `CLONE_IO`.
    package var cloneFlag: UInt64 {
        switch self {
        case .memory: 0x100
        case .files: 0x400
        case .directories: 0x200
        case .actions: 0x800
        case .undo: 0x40000
        case .disk: 0x8000_0000
        }
    }

    /// Whether unshare(2) gives a task one of its own. With the others only execve(2) does, or being born without.
    package var canBeUnshared: Bool { self == .files || self == .directories || self == .undo }

    /// For people.
    package var name: String {
        switch self {
        case .memory: "memory (CLONE_VM)"
        case .files: "descriptors (CLONE_FILES)"
        case .directories: "working directory (CLONE_FS)"
        case .actions: "signal handlers (CLONE_SIGHAND)"
        case .undo: "semaphore operations to undo (CLONE_SYSVSEM)"
        case .disk: "disk priority (CLONE_IO)"
        }
    }
}

/// Several kinds at once.
package struct CloneObjects: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package init(_ object: CloneObject) { self.init(rawValue: 1 << UInt8(object.rawValue)) }

    package static let all = CloneObjects(rawValue: 0x3f)
    package static let unshareable = CloneObject.allCases.filter(\.canBeUnshared).reduce(into: CloneObjects()) { $0.insert(CloneObjects($1)) }

    package var kinds: [CloneObject] { CloneObject.allCases.filter { contains(CloneObjects($0)) } }
    /// For clone(2) and unshare(2).
    package var cloneFlags: UInt64 { kinds.reduce(0) { $0 | $1.cloneFlag } }
}

/// Which object of each kind a process has, by number; 0: one that nobody else has.
package struct CloneObjectIDs: Sendable, Equatable {
    private var numbers = SIMD8<UInt32>()

    package init() {}

    /// - Parameter numbers: in the order of the kinds.
    package init(_ numbers: [UInt32]) {
        for (kind, number) in zip(CloneObject.allCases, numbers) { self[kind] = number }
    }

    package subscript(_ kind: CloneObject) -> UInt32 {
        get { numbers[kind.rawValue] }
        set { numbers[kind.rawValue] = newValue }
    }

    package var isEmpty: Bool { numbers == SIMD8<UInt32>() }
    /// Those of which there is an object.
    package var kinds: CloneObjects { CloneObject.allCases.reduce(into: []) { if self[$1] != 0 { $0.insert(CloneObjects($1)) } } }
}
