internal import Kernel
internal import LinuxABI

extension TreeLook {
    /// The ids of a process's memory and signal actions; what is new is looked at.
    mutating func memory(
        of door: HostPid, _ readings: ProcessReadings, _ mountNamespace: Int
    ) throws(SystemError) -> (space: Int, actions: Int) {
        let known = try identities.find(door.rawValue, .memory)
        let space: Int
        if let id = known.id { space = id } else { space = try lookAtSpace(of: door, readings, mountNamespace, known) }
        return (space, try identities.actions(of: door.rawValue, space: space))
    }

    private mutating func lookAtSpace(
        of tid: HostPid, _ readings: ProcessReadings, _ mountNamespace: Int, _ known: Identities.Found
    ) throws(SystemError) -> Int {
        var space = SpaceSight(
            holder: tid, maps: try readings.maps.get(), auxiliaryVector: RawText(try readings.auxiliaryVector.get()), vdsoHeader: nil,
            details: [], mountNamespace: mountNamespace, coreFilter: readings.coreFilter)
        if MemoryPolicy.matter { space.memoryPolicies = try MemoryPolicy.all(of: tid.rawValue) }
        for map in space.maps.value.maps {
            if map.path.elementsEqual("[vdso]".utf8) {
                space.vdsoHeader = RawText(try vdsoHeader(at: map.start, of: tid))
                continue
            }
            guard map.path.first == UInt8(ascii: "/") || map.isFileBacked else { continue }
            if let detail = try lookAtMapping(map, of: tid) { space.details.append(detail) }
        }
        if space.maps.value.maps.contains(where: { $0.flags.contains(.userfaultWriteProtect) }) { space.tracked = tracked(of: tid) }
        let rings = space.maps.value.maps.filter { $0.kernelMemory == .asynchronousRing }
        if !rings.isEmpty { space.rings = rings.map { ring(at: $0, of: tid) } }
        for map in space.maps.value.maps where map.isFileBacked && !map.isShared { names.lookAtContents(of: map.path) }
        if space.is32Bit, sight.host.compatVdso == nil { sight.host.compatVdso = CompatVdso.current.map { VdsoSight($0) } }
        sight.spaces.append(space)
        identities.add(known, id: sight.spaces.count)
        return sight.spaces.count
    }

    /// What crcheckpoint itself tracks; nil: the program does.
    private mutating func tracked(of tid: HostPid) -> [PageRun]? {
        guard let process = TrackRecord.Process(of: tid) else { return nil }
        keptTracking.learn(of: process)
        let ranges = keptTracking.ranges(of: process)
        return ranges.isEmpty ? nil : ranges
    }

    /// Nothing where the vdso cannot be read.
    private func vdsoHeader(at address: UInt64, of tid: HostPid) throws(SystemError) -> [UInt8] {
        do throws(SystemError) { return try RemoteMemory.read(tid.rawValue, at: address, count: 20) } catch {
            guard error.number == Errno.EFAULT else { throw error }
            return []
        }
    }

    /// Looks for the file under a mapping. Nil where the text of `smaps` and the name tell all.
    private mutating func lookAtMapping(_ map: MemoryMap, of tid: HostPid) throws(SystemError) -> MappingSight? {
        var detail: MappingSight?
        var path = map.path
        var isDeleted = map.isDeleted
        if map.isDeleted || map.isPathAmbiguous {
            let certain = map.certainPath(of: tid.rawValue)
            if certain.bytes != map.path || certain.isDeleted != map.isDeleted {
                (path, isDeleted) = (certain.bytes, certain.isDeleted)
                detail = MappingSight(start: map.start, path: RawText(path), isDeleted: isDeleted)
            }
        }
        switch MappingNature(map, isDeleted: isDeleted, found: isDeleted ? nil : names.look(path)) {
        case .file: if map.protection.contains(.execute) { names.lookAtBuildID(of: path) }
        case .object:
            if detail == nil { detail = MappingSight(start: map.start) }
            let link = "/proc/\(tid)/map_files/" + String(map.start, radix: 16) + "-" + String(map.end, radix: 16)
            var status: FileStatus?
            do throws(SystemError) { status = try FileStatus(of: link) } catch {
                if error.name == "EPERM" { detail?.isForbidden = true } else { detail?.obstacle = error.name }
            }
            let isNamed = path.first == UInt8(ascii: "/") && status?.linkCount != 0
            if let status, status.kind != .regular {
                detail?.obstacle = "ENXIO"
            } else if isNamed, let other = names.otherName(of: map.inode, on: status?.device, besides: path) {
                detail?.path = RawText(other)
                detail?.isDeleted = false
                detail?.isForbidden = nil
                if map.protection.contains(.execute) { names.lookAtBuildID(of: other) }
            } else if let status {
                // A copy of a file that lives on under another name would part the program from those who use that.
                if isNamed { detail?.isLost = true } else { detail?.object = object(at: link, name: path, status) }
            }
        case .kernel, .vdsoData, .vdsoCode, .anonymous, .other: break
        }
        return detail
    }
}

extension MemorySight {
    /// Looks which pages of a stopped tree hold contents.
    ///
    /// - Parameters:
    ///   - tables: by address space.
    ///   - disturbed: processes to which a signal was delivered since the sight.
    static func look(at sight: TreeSight, _ tables: [MappingTable], disturbed: Set<HostPid> = []) throws(CaptureError) -> MemorySight {
        let disturbedSpaces = Set(sight.processes.lazy.filter { disturbed.contains($0.pid) }.map(\.space))
        let names = NameTable(sight.names)
        var memory = MemorySight()
        var guards: [[Run]] = []
        var words: [[RobustWordSight]] = []
        var seals: [UInt32] = []
        var attributes: [[FileAttribute]] = []
        var threads: [Int: [ThreadSight]] = [:]
        for process in sight.processes { threads[process.space, default: []] += process.threads }
        let looks = concurrentMap(sight.spaces.count) { [threads] index in
            Result { () throws(SystemError) in
                try SpaceLook(sight.spaces[index], tables[index], isDisturbed: disturbedSpaces.contains(index + 1), names, threads[index + 1] ?? [])
            }
        }
        for (index, look) in looks.enumerated() {
            do throws(SystemError) {
                let found = try look.get()
                if let maps = found.changed { memory.changed.append(ChangedSpace(space: index + 1, maps: maps)) }
                memory.spaces.append(found.contents)
                guards.append(found.guards)
                words.append(found.words)
            } catch {
                let process = sight.processes.first { $0.space == index + 1 }
                throw CaptureError(cannot: "look at the memory of", task: process?.pid ?? sight.spaces[index].holder, process?.stat.comm, error)
            }
        }
        do throws(SystemError) { try memory.findSharedPages(sight) } catch {
            throw CaptureError(cannot: "look for pages that the processes share", error, help: error.call)
        }
        for object in sight.objects {
            do throws(SystemError) {
                let file = try Descriptor.openToCopy(object.link.bytes)
                memory.objects.append(try runs(of: object, file))
                seals.append(object.isMemory ? Kernel.NamelessFile.seals(of: file) : 0)
                attributes.append(try FileAttribute.all(of: file))
            } catch {
                throw CaptureError(cannot: "look into \(object.name.shown)", error, help: error.call)
            }
        }
        memory.guards = guards
        memory.seals = seals
        if attributes.contains(where: { !$0.isEmpty }) { memory.attributes = attributes }
        if words.contains(where: { !$0.isEmpty }) { memory.robustWords = words }
        return memory
    }

    private static func runs(of object: ObjectSight, _ file: borrowing Descriptor) throws(SystemError) -> [Run] {
        try SparseFile.dataRuns(of: file, size: UInt64(max(0, object.status.size))).map { run in
            let page = run.start / pageSize
            return Run(page: page, count: (run.start + run.length + pageSize - 1) / pageSize - page)
        }
    }

    /// The mappings of a space as they were last seen.
    func maps(of space: Int, in sight: TreeSight) -> [MemoryMap] {
        (changed.first { $0.space == space }?.maps ?? sight[space: space].maps).value.maps
    }

    /// Bytes of all pages together.
    var bytes: UInt64 { (spaces + objects + (shared ?? []).map(\.runs)).joined().reduce(0) { $0 + $1.count } * pageSize }
}
