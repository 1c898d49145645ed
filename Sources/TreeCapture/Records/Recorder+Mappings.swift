internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension Recorder {
    static let privateFromThePool = "is a private mapping of a file in the huge page pool, which cannot be saved yet"
    static let segmentFromThePool = "is System V shared memory from the huge page pool, which cannot be saved yet"
    static let insteadOfThePool = "let the program use ordinary memory, which can have huge pages, too (madvise, MADV_HUGEPAGE)"

    /// Flags of memory that is a device's.
    static let deviceFlags: MappingFlags = [.deviceMemory, .rawFrames, .mixedFrames]
    /// Flags of memory that cannot be saved, how a finding goes on, and what helps.
    static let refusedFlags: [(flags: MappingFlags, reason: String, help: String)] = [
        (
            [.userfaultMissing, .userfaultWriteProtect, .userfaultMinor], "is served by userfaultfd, which cannot be saved yet",
            "let the program unregister it (UFFDIO_UNREGISTER); after crrestart --lazy, try again when all pages have come"
        ),
        (
            [.shadowStack], "is a shadow stack, which cannot be saved yet",
            "start the program with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off"
        ),
        (
            [.synchronousFaults], "is persistent memory (MAP_SYNC), which cannot be saved yet", "let the program map the file without MAP_SYNC"
        ),
        ([.memoryTagging], "has memory tags, which cannot be saved yet", "start the program without them"),
        ([.branchTarget], "has protected branch targets, which cannot be saved yet", "start the program without them"),
    ]

    /// Mappings of a kind that this version cannot make again.
    mutating func check(_ mapping: MappingTable.Mapping, _ space: SpaceSight, _ pid: HostPid) {
        let map = mapping.map
        let name = printable(mapping.path)
        let place = "mapping \(hexadecimal(map.start))" + (name.isEmpty ? "" : " \(name)")
        switch mapping.nature {
        case .vdsoCode:
            checkVdso(map, space, pid, place)
            return
        case .vdsoData, .kernel: return
        case .anonymous, .file, .object, .other: break
        }
        func refuse(_ recorder: inout Recorder, _ reason: String, help: String = "") {
            recorder.find(pid, place, reason, help: help)
        }
        if map.flags.contains(.hugeTLB), !map.isShared, mapping.nature != .anonymous {
            refuse(&self, Self.privateFromThePool, help: Self.insteadOfThePool)
        }
        if map.kernelMemory == .asynchronousRing, let ring = space.rings?.first(where: { $0.address == map.start }) {
            let isAsMade = map.isShared && map.protection == [.read, .write]
            if let obstacle = ring.obstacle(length: map.length, isAsMade: isAsMade) { refuse(&self, obstacle.reason, help: obstacle.help) }
        } else if let kernel = map.kernelMemory {
            refuse(&self, kernel.reason, help: kernel.help)
        } else if !map.flags.isDisjoint(with: Self.deviceFlags) || mapping.isDevice {
            refuse(&self, "maps a device, whose memory cannot be saved", help: "let the program unmap it")
        } else if let obstacle = mapping.detail?.obstacle {
            refuse(&self, "is memory that cannot be opened once more: \(obstacle)", help: "let the program unmap it")
        }
        var known = map.flags
        if let tracked = space.tracked, !TrackRecord.parts(of: map, in: tracked).isEmpty { known.remove(.userfaultWriteProtect) }
        for (flags, reason, help) in Self.refusedFlags where !known.isDisjoint(with: flags) { refuse(&self, reason, help: help) }
        if map.protectionKey != 0 { refuse(&self, "has protection key \(map.protectionKey), which cannot be saved yet") }
        if SharedSegment.isSegment(mapping.path), !SharedSegment.isKnown(mapping.detail?.object, in: sight) {
            refuse(&self, "is System V shared memory of another ipc namespace, which cannot be saved yet", help: "let the program unmap it (shmdt)")
        }
        if mapping.path.starts(with: "[uprobes]".utf8) { refuse(&self, "holds user-space probes", help: "remove them first") }
        if !map.unknownFlags.isEmpty {
            refuse(&self, "has flags that this version does not know: \(map.unknownFlags.joined(separator: " "))")
        }
        if mapping.detail?.isLost == true {
            let lost = LostName(mapping.path, inode: map.inode, isMounted: true, name: names[mapping.path])
            refuse(&self, lost.reason, help: lost.help)
        }
        if mapping.detail?.isForbidden == true {
            refuse(
                &self, "is shared memory that crcheckpoint may not look into",
                help: "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN is needed for it")
        }
    }

    /// A vdso that is neither that of this kernel's 64-bit programs nor that of its 32-bit ones.
    private mutating func checkVdso(_ map: MemoryMap, _ space: SpaceSight, _ pid: HostPid, _ place: String) {
        switch space.vdsoKind ?? .other {
        case .compat:
            guard let compat = sight.host.compatVdso else {
                find(
                    pid, place, "is that of a 32-bit program, and this kernel does not tell what it is like",
                    help: "CONFIG_CHECKPOINT_RESTORE is needed")
                return
            }
            if map.length != compat.codeSize { find(pid, place, "is another vdso than this kernel gives to 32-bit programs") }
        case .native, .other:
            guard let own = sight.host.vdso else { return }
            if map.length != own.codeSize || (space.vdsoKind ?? .other) == .other {
                find(pid, place, "is another vdso than ours (an x32 program?), which cannot be saved yet")
            }
        }
    }
}
