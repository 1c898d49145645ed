internal import CCodec
internal import CheckpointImage
internal import Kernel

extension Collector {
    /// Address space of one process: its mappings and the areas of PR_SET_MM_MAP.
    func collectMemory(of pid: Int32, stat: ProcessStat, as id: UInt32) throws(SystemError) {
        spaces.append(try addressSpace(of: pid, stat: stat, as: id))
        spaceSources.append(.task(pid))
    }

    /// Which pages are the process's own. After the injected programs: a signal that was delivered on the
    /// way has written its frame to a stack, which may have grown for it.
    func collectPages() throws(CaptureError) {
        for (index, source) in spaceSources.enumerated() {
            guard case .task(let pid) = source else { continue }
            try describing(pid, "look at the memory of") { () throws(SystemError) in
                if wasDisturbed(pid) {
                    let current = spaces[index].currentBreak
                    spaces[index] = try addressSpace(of: pid, stat: try ProcessStat(of: pid), as: spaces[index].id)
                    spaces[index].currentBreak = current
                }
                let pages = try PageMap(of: pid)
                var runs: [PageRun] = []
                for mapping in spaces[index].mappings where !mapping.shared {
                    if mapping.kind == .vdsoData || mapping.kind == .vdsoCode { continue }
                    if mapping.flags & 1 << UInt64(ImageMappingFlag.droppable.rawValue) != 0 { continue }
                    try pages.changedRuns(
                        start: mapping.start, end: mapping.end, fileBacked: mapping.kind != .anonymous, into: &runs)
                }
                let merged = PageRun.merged(runs)
                spaces[index].runPage = merged.map { $0.start / pageSize }
                spaces[index].runLength = merged.map { $0.length / pageSize }
            }
        }
    }

    private func addressSpace(of pid: Int32, stat: ProcessStat, as id: UInt32) throws(SystemError) -> ImageAddressSpace {
        var space = ImageAddressSpace()
        space.id = id
        space.startCode = stat.codeStart
        space.endCode = stat.codeEnd
        space.startData = stat.dataStart
        space.endData = stat.dataEnd
        space.startBreak = stat.breakStart
        space.startStack = stat.stackStart
        space.argumentStart = stat.argumentStart
        space.argumentEnd = stat.argumentEnd
        space.environmentStart = stat.environmentStart
        space.environmentEnd = stat.environmentEnd
        space.auxiliaryVector = try readFile("/proc/\(pid)/auxv").asData

        // Appending to a field of a message would copy the list each time.
        var mappings: [ImageMapping] = []
        for map in try MemoryMap.detailed(of: pid) {
            let name = text(map.path)
            if name == "[vsyscall]" { continue }
            var mapping = ImageMapping()
            mapping.start = map.start
            mapping.end = map.end
            mapping.protection = map.protection.rawValue & 7
            mapping.shared = map.isShared
            mapping.flags = Self.imageFlags(map.flags)
            mapping.offset = map.offset
            switch name {
            case "[vvar]", "[vvar_vclock]":
                mapping.kind = .vdsoData
                mapping.offset = 0
                mapping.flags = 0
            case "[vdso]":
                mapping.kind = .vdsoCode
                mapping.offset = 0
                mapping.flags = 0
                space.is32Bit = checkVdso(map, of: pid)
            default:
                check(map, of: pid, name)
                if !map.isFileBacked && !map.isShared {
                    mapping.kind = .anonymous
                    mapping.offset = 0
                } else if !map.isDeleted, let file = identity(of: name), file.status.inode == map.inode {
                    mapping.kind = .file
                    mapping.file = withBuildID(file.identity, name, executable: map.protection.contains(.execute))
                } else if map.isFileBacked, !Self.isAsynchronousRing(name) {
                    mapping.kind = .object
                    mapping.object = try mappedObject(map, of: pid, name)
                }
            }
            mappings.append(mapping)
        }
        space.mappings = mappings
        return space
    }

    /// Mappings of a kind that this version cannot make again.
    private func check(_ map: MemoryMap, of pid: Int32, _ name: String) {
        let place = "mapping \(hexadecimal(map.start))" + (name.isEmpty ? "" : " \(name)")
        func refuse(_ reason: String, help: String = "") { find(pid, place, reason, help: help) }
        if map.flags.contains(.hugeTLB) || name.hasPrefix("/anon_hugepage") {
            refuse("is memory from the huge page pool, which cannot be saved yet", help: "transparent huge pages can")
        }
        if !map.flags.isDisjoint(with: [.deviceMemory, .rawFrames, .mixedFrames]) {
            refuse("maps a device", help: "device memory cannot be saved")
        }
        if !map.flags.isDisjoint(with: [.userfaultMissing, .userfaultWriteProtect, .userfaultMinor]) {
            refuse("is served by userfaultfd, which cannot be saved yet")
        }
        if map.flags.contains(.shadowStack) { refuse("is a shadow stack, which cannot be saved yet") }
        if map.flags.contains(.sealed) { refuse("is sealed (mseal), which cannot be saved yet") }
        if map.protectionKey != 0 { refuse("has protection key \(map.protectionKey), which cannot be saved yet") }
        if map.flags.contains(.lockOnFault) { refuse("is locked on fault (MLOCK_ONFAULT), which cannot be saved yet") }
        if name.hasPrefix("/SYSV") { refuse("is System V shared memory, which cannot be saved yet") }
        if Self.isAsynchronousRing(name) { refuse("belongs to asynchronous input and output (io_setup), which cannot be saved yet") }
        if name.hasPrefix("[uprobes]") { refuse("holds user-space probes", help: "remove them first") }
        if !map.unknownFlags.isEmpty {
            refuse("has flags that this version does not know: \(map.unknownFlags.joined(separator: " "))")
        }
    }

    private static func isAsynchronousRing(_ name: String) -> Bool { name.hasPrefix("/[aio]") }

    private static let flagTable: [(MappingFlags, ImageMappingFlag)] = [
        (.growsDown, .growsDown), (.noReserve, .noReserve), (.locked, .locked), (.dontFork, .dontFork),
        (.dontDump, .dontDump), (.wipeOnFork, .wipeOnFork), (.hugePage, .hugePage), (.noHugePage, .noHugePage),
        (.mergeable, .mergeable), (.randomRead, .randomRead), (.sequentialRead, .sequentialRead),
        (.mayWrite, .mayWrite), (.droppable, .droppable),
    ]

    private static func imageFlags(_ flags: MappingFlags) -> UInt64 {
        var bits: UInt64 = 0
        for (flag, image) in flagTable where flags.contains(flag) { bits |= 1 << UInt64(image.rawValue) }
        return bits
    }

    /// Programs and libraries are recognised by their build-id, too.
    private func withBuildID(_ identity: ImageFileIdentity, _ path: String, executable: Bool) -> ImageFileIdentity {
        guard executable, identity.buildID.isEmpty else { return identity }
        var identity = identity
        if let id = (try? BuildID.read(from: path)) ?? nil { identity.buildID = id.asData }
        if let status = identities[path]?.status { identities[path] = (identity, status) }
        return identity
    }

    /// The memory object behind a shared anonymous mapping or a file without a name.
    private func mappedObject(_ map: MemoryMap, of pid: Int32, _ name: String) throws(SystemError) -> UInt32 {
        let link = "/proc/\(pid)/map_files/" + String(map.start, radix: 16) + "-" + String(map.end, radix: 16)
        do throws(SystemError) { return try object(at: link, name: name) } catch {
            guard error.name == "EPERM" else { throw error }
            find(
                pid, "mapping \(hexadecimal(map.start)) \(name)", "is shared memory, which not everybody may look into",
                help: "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN is needed for it")
            return 0
        }
    }

    /// The memory object of a nameless file that can be opened through a link of `/proc`.
    func object(at link: String, name: String) throws(SystemError) -> UInt32 {
        let status = try FileStatus(of: link)
        let key = FileKey(device: status.device, inode: status.inode)
        if let known = objectIds[key] { return known }
        var object = ImageMemoryObject()
        object.id = UInt32(objects.count + 1)
        object.name = Array(name.utf8).asData
        object.size = UInt64(max(0, status.size))
        object.unlinkedFile = !name.hasPrefix("/memfd:") && name != "/dev/zero" && !name.hasPrefix("[anon_shmem")
        object.mode = status.mode & 0o7777
        object.owner = status.owner
        object.group = status.group
        let file = try Descriptor.open(link)
        for run in try SparseFile.dataRuns(of: file, size: object.size) {
            let start = run.start / pageSize
            let end = (run.start + run.length + pageSize - 1) / pageSize
            object.runPage.append(start)
            object.runLength.append(end - start)
        }
        objectIds[key] = object.id
        objects.append(object)
        objectSources.append(.file(link))
        return object.id
    }
}

func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

extension PageRun {
    /// Ascending runs with neighbours joined.
    static func merged(_ runs: [PageRun]) -> [PageRun] {
        var result: [PageRun] = []
        for run in runs {
            if let last = result.last, last.start + last.length == run.start {
                result[result.count - 1].length += run.length
            } else {
                result.append(run)
            }
        }
        return result
    }
}
