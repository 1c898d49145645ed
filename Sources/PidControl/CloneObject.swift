internal import LinuxABI

/// A kind of kernel object that clone(2), with the flag for it, lets a new task share with its creator.
///
/// They share it until one of them gets one of its own by unshare(2) or execve(2).
package enum CloneObject: Int, Sendable, CaseIterable {
    case memory, files, directories, actions, undo, disk

    /// - Source: linux/sched.h: `CLONE_VM`, `CLONE_FILES`, `CLONE_FS`, `CLONE_SIGHAND`, `CLONE_SYSVSEM`, `CLONE_IO`.
    package var cloneFlag: UInt64 {
        switch self {
        case .memory: CloneFlag.CLONE_VM
        case .files: CloneFlag.CLONE_FILES
        case .directories: CloneFlag.CLONE_FS
        case .actions: CloneFlag.CLONE_SIGHAND
        case .undo: CloneFlag.CLONE_SYSVSEM
        case .disk: CloneFlag.CLONE_IO
        }
    }

    /// Whether unshare(2) gives a running task an object of its own. For the other kinds only execve(2) does, or a
    /// creation without the flag.
    package var canBeUnshared: Bool { self == .files || self == .directories || self == .undo }

    /// The kind in words, for messages.
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

/// A set of kinds.
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

/// The object of each kind that a process has, by number. 0: an object that it shares with no other process.
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
    /// The kinds whose number is not 0.
    package var kinds: CloneObjects { CloneObject.allCases.reduce(into: []) { if self[$1] != 0 { $0.insert(CloneObjects($1)) } } }
}
