/// The `VmFlags:` of one mapping in `/proc/PID/smaps`.
///
/// - Source: proc(5), `/proc/pid/smaps`; fs/proc/task_mmu.c, `show_smap_vma_flags`.
package struct MappingFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    private init(bit: Int) { self.rawValue = 1 << UInt64(bit) }

    package static let readable = Self(bit: 0)  // rd
    package static let writable = Self(bit: 1)  // wr
    package static let executable = Self(bit: 2)  // ex
    package static let shared = Self(bit: 3)  // sh
    package static let mayRead = Self(bit: 4)  // mr
    package static let mayWrite = Self(bit: 5)  // mw
    package static let mayExecute = Self(bit: 6)  // me
    package static let mayShare = Self(bit: 7)  // ms
    package static let growsDown = Self(bit: 8)  // gd
    package static let rawFrames = Self(bit: 9)  // pf, no page structures behind it
    package static let denyWrite = Self(bit: 10)  // dw, before 5.15
    package static let locked = Self(bit: 11)  // lo
    package static let deviceMemory = Self(bit: 12)  // io
    package static let sequentialRead = Self(bit: 13)  // sr
    package static let randomRead = Self(bit: 14)  // rr
    package static let dontFork = Self(bit: 15)  // dc
    package static let dontExpand = Self(bit: 16)  // de
    package static let lockOnFault = Self(bit: 17)  // lf
    package static let accounted = Self(bit: 18)  // ac
    package static let noReserve = Self(bit: 19)  // nr
    package static let hugeTLB = Self(bit: 20)  // ht
    package static let synchronousFaults = Self(bit: 21)  // sf
    package static let nonLinear = Self(bit: 22)  // nl, before 4.0
    package static let architecture = Self(bit: 23)  // ar
    package static let wipeOnFork = Self(bit: 24)  // wf
    package static let dontDump = Self(bit: 25)  // dd
    package static let branchTarget = Self(bit: 26)  // bt, arm64
    package static let softDirty = Self(bit: 27)  // sd
    package static let mixedFrames = Self(bit: 28)  // mm
    package static let hugePage = Self(bit: 29)  // hg
    package static let noHugePage = Self(bit: 30)  // nh
    package static let mergeable = Self(bit: 31)  // mg
    package static let userfaultMissing = Self(bit: 32)  // um
    package static let userfaultWriteProtect = Self(bit: 33)  // uw
    package static let userfaultMinor = Self(bit: 34)  // ui
    package static let memoryTagging = Self(bit: 35)  // mt
    package static let shadowStack = Self(bit: 36)  // ss
    package static let droppable = Self(bit: 37)  // dp
    package static let sealed = Self(bit: 38)  // sl
    package static let boundsTable = Self(bit: 39)  // mp, x86 MPX before 5.6
    package static let mayHoldGuards = Self(bit: 40)  // gu, since 6.19
}

extension MappingFlags {
    /// Two letters and their flag.
    static let names: [(name: StaticString, flag: MappingFlags)] = [
        ("rd", .readable), ("wr", .writable), ("ex", .executable), ("sh", .shared), ("mr", .mayRead),
        ("mw", .mayWrite), ("me", .mayExecute), ("ms", .mayShare), ("gd", .growsDown), ("pf", .rawFrames),
        ("dw", .denyWrite), ("lo", .locked), ("io", .deviceMemory), ("sr", .sequentialRead),
        ("rr", .randomRead), ("dc", .dontFork), ("de", .dontExpand), ("lf", .lockOnFault),
        ("ac", .accounted), ("nr", .noReserve), ("ht", .hugeTLB), ("sf", .synchronousFaults),
        ("nl", .nonLinear), ("ar", .architecture), ("wf", .wipeOnFork), ("dd", .dontDump),
        ("bt", .branchTarget), ("sd", .softDirty), ("mm", .mixedFrames), ("hg", .hugePage),
        ("nh", .noHugePage), ("mg", .mergeable), ("um", .userfaultMissing), ("uw", .userfaultWriteProtect),
        ("ui", .userfaultMinor), ("mt", .memoryTagging), ("ss", .shadowStack), ("dp", .droppable),
        ("sl", .sealed), ("mp", .boundsTable), ("gu", .mayHoldGuards),
    ]

    /// Every flag that has a name.
    package static let all: MappingFlags = names.reduce([]) { $0.union($1.flag) }

    /// Flags by letters: index is 32 times the first letter plus the second, each counted from `a`.
    private static let byLetters: [MappingFlags] = {
        var table = [MappingFlags](repeating: [], count: 1024)
        for entry in names {
            let packed = key(entry.name)
            table[index(UInt8(packed & 0xff), UInt8(packed >> 8))!] = entry.flag
        }
        return table
    }()

    @inline(__always)
    private static func index(_ first: UInt8, _ second: UInt8) -> Int? {
        let (high, low) = (first &- UInt8(ascii: "a"), second &- UInt8(ascii: "a"))
        return high < 26 && low < 26 ? Int(high) << 5 | Int(low) : nil
    }

    /// The flag of a two-letter name, nil for one that is not known.
    @inline(__always)
    static func named(_ first: UInt8, _ second: UInt8) -> MappingFlags? {
        guard let index = index(first, second) else { return nil }
        let flag = byLetters[index]
        return flag.isEmpty ? nil : flag
    }
}

extension MappingFlags: CustomStringConvertible {
    /// The kernel's letters, e.g. `rd wr mr mw me ac`.
    package var description: String {
        Self.names.filter { contains($0.flag) }.map { "\($0.name)" }.joined(separator: " ")
    }
}
