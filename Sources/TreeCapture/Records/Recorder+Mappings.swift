internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension Recorder {
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
        if map.flags.contains(.hugeTLB) || mapping.path.starts(with: "/anon_hugepage".utf8) {
            refuse(&self, "is memory from the huge page pool, which cannot be saved yet", help: "transparent huge pages can")
        }
        if !map.flags.isDisjoint(with: [.deviceMemory, .rawFrames, .mixedFrames]) {
            refuse(&self, "maps a device", help: "device memory cannot be saved")
        }
        if !map.flags.isDisjoint(with: [.userfaultMissing, .userfaultWriteProtect, .userfaultMinor]) {
            refuse(&self, "is served by userfaultfd, which cannot be saved yet")
        }
        if map.flags.contains(.shadowStack) { refuse(&self, "is a shadow stack, which cannot be saved yet") }
        if map.flags.contains(.sealed) { refuse(&self, "is sealed (mseal), which cannot be saved yet") }
        if map.protectionKey != 0 { refuse(&self, "has protection key \(map.protectionKey), which cannot be saved yet") }
        if map.flags.contains(.lockOnFault) { refuse(&self, "is locked on fault (MLOCK_ONFAULT), which cannot be saved yet") }
        if mapping.path.starts(with: "/SYSV".utf8) { refuse(&self, "is System V shared memory, which cannot be saved yet") }
        if map.isAsynchronousRing {
            refuse(&self, "belongs to asynchronous input and output (io_setup), which cannot be saved yet")
        }
        if mapping.path.starts(with: "[uprobes]".utf8) { refuse(&self, "holds user-space probes", help: "remove them first") }
        if !map.unknownFlags.isEmpty {
            refuse(&self, "has flags that this version does not know: \(map.unknownFlags.joined(separator: " "))")
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
