internal import Kernel

/// An address space.
struct SpaceSight: Codable, Sendable {
    /// A task that has it.
    var holder: HostPid
    /// `/proc/PID/smaps`
    var maps: Seen<Smaps>
    var auxiliaryVector: RawText
    /// First bytes of its vdso, which tell for what kind of programs that is.
    var vdsoHeader: RawText?
    /// Mappings of which the text of `smaps` does not tell enough, by ascending addresses.
    var details: [MappingSight]
    var mountNamespace: Int
    /// `/proc/PID/coredump_filter`
    var coreFilter: UInt32?
    /// NUMA policies of mappings that are not the default; nil: not looked for.
    var memoryPolicies: [MemoryPolicy]?
    /// Contexts of io_setup(2), by ascending addresses; nil: none.
    var rings: [AsynchronousRingSight]?
    /// Memory of which a process of crcheckpoint's has the kernel note what is written (`--track`); nil: none.
    var tracked: [PageRun]?

    /// What the header of the vdso says.
    var vdsoKind: Vdso.Kind? { vdsoHeader.map { Vdso.kind(ofHeader: $0.bytes) } }
    var is32Bit: Bool { vdsoKind == .compat }
}

/// What belongs to one mapping, by its first address.
struct MappingSight: Codable, Sendable {
    var start: UInt64
    /// The path, where the text of `smaps` can be read in two ways.
    var path: RawText?
    var isDeleted: Bool?
    /// The memory object that it shows.
    var object: Int?
    /// The object may not be looked into.
    var isForbidden: Bool?
    /// The file has another name, which is not known.
    var isLost: Bool?
    /// The errno by which the kernel refuses to open what is mapped once more.
    var obstacle: String?
}

/// Memory that belongs to no file which could be opened again by its name.
struct ObjectSight: Codable, Sendable {
    /// A link of `/proc` that opens it, while a task of the tree holds it.
    var link: RawText
    /// Without ` (deleted)`.
    var name: RawText
    var status: FileStatus
    /// Bytes of the huge pages from the pool of which it is made; nil: it is made of ordinary ones.
    var hugePageSize: UInt64?

    /// Memory that never had a name in a file system; huge pages from the pool count as such, whatever they had.
    var isMemory: Bool {
        hugePageSize != nil || name == "/dev/zero" || name.bytes.starts(with: "/memfd:".utf8) || name.bytes.starts(with: "[anon_shmem".utf8)
    }
}

/// What is under a mapping. Decided from what was seen of it, the same way when its file is looked for and when it is
/// recorded.
enum MappingNature: Equatable {
    /// Not part of the process: [vsyscall].
    case kernel
    case vdsoData
    case vdsoCode
    /// Memory of its own.
    case anonymous
    /// A file that can be opened again by its name.
    case file
    /// Shared memory, or a file without a name.
    case object
    /// A kind that is refused, and has nothing behind it that could be opened.
    case other

    /// - Parameter found: what the name of the mapping leads to.
    init(_ map: MemoryMap, isDeleted: Bool, found: FileStatus?) {
        if map.path.elementsEqual("[vsyscall]".utf8) {
            self = .kernel
        } else if map.path.elementsEqual("[vdso]".utf8) {
            self = .vdsoCode
        } else if map.path.elementsEqual("[vvar]".utf8) || map.path.elementsEqual("[vvar_vclock]".utf8) {
            self = .vdsoData
        } else if !map.isShared && (!map.isFileBacked || map.isAnonymousFromPool) {
            self = .anonymous
        } else if !isDeleted, let found, found.inode == map.inode {
            self = .file
        } else if map.isFileBacked && map.kernelMemory == nil {
            self = .object
        } else {
            self = .other
        }
    }
}

/// Which pages hold contents that have to be saved. Seen last: a signal that is delivered while the tasks are asked
/// writes its frame to a stack, which may grow for it.
struct MemorySight: Codable, Sendable {
    struct Run: Codable, Sendable, Equatable {
        /// Page number: address, or place in the object, divided by the page size.
        var page: UInt64
        /// How many.
        var count: UInt64
    }

    /// In the order of `TreeSight.spaces` and `TreeSight.objects`. Without what is in `shared`.
    var spaces: [[Run]] = []
    var objects: [[Run]] = []
    /// Pages that several spaces share copy-on-write; nil: none, or not looked for.
    var shared: [SharedSet]?
    /// Guard pages of the spaces; nil: they were not looked for.
    var guards: [[Run]]?
    /// F_GET_SEALS of the objects; nil: they were not looked at.
    var seals: [UInt32]?
    /// Extended attributes of the objects; nil: they were not looked at.
    var attributes: [[FileAttribute]]?
    /// Robust mutexes that threads hold in shared mappings of files, by space.
    var robustWords: [[RobustWordSight]]?
    /// Spaces whose mappings may have changed since the sight: their `smaps`, read again.
    var changed: [ChangedSpace] = []

    /// Pages at the same addresses of several spaces, saved once.
    struct SharedSet: Codable, Sendable, Equatable {
        var runs: [Run] = []
        /// By run: the space from which it is read.
        var sources: [Int] = []
        var holders: [Holder] = []

        /// - Preconditions: it lies behind the runs before.
        mutating func append(_ run: Run, from space: Int) {
            if let last = runs.last, last.page + last.count == run.page, sources.last == space {
                runs[runs.count - 1].count += run.count
            } else {
                runs.append(run)
                sources.append(space)
            }
        }
    }

    /// A space, and which pages of a set it has.
    struct Holder: Codable, Sendable, Equatable {
        var space: Int
        var runs: [Run] = []

        mutating func append(_ run: Run) {
            if let last = runs.last, last.page + last.count == run.page {
                runs[runs.count - 1].count += run.count
            } else {
                runs.append(run)
            }
        }
    }

    struct RobustWordSight: Codable, Sendable, Equatable {
        var address: UInt64
        var value: UInt32
    }

    struct ChangedSpace: Codable, Sendable {
        var space: Int
        var maps: Seen<Smaps>
    }
}
