internal import Kernel
internal import LinuxABI

extension TreeLook {
    /// The ids of a process's memory and signal actions; what is new is looked at.
    mutating func memory(of door: HostPid, _ mountNamespace: Int) throws(SystemError) -> (space: Int, actions: Int) {
        let known = try identities.find(door.rawValue, .memory)
        let space: Int
        if let id = known.id { space = id } else { space = try lookAtSpace(of: door, mountNamespace, known) }
        return (space, try identities.actions(of: door.rawValue, space: space))
    }

    private mutating func lookAtSpace(
        of tid: HostPid, _ mountNamespace: Int, _ known: Identities.Found
    ) throws(SystemError) -> Int {
        var space = SpaceSight(
            holder: tid, maps: try Seen(ProcText.smaps(of: tid.rawValue)),
            auxiliaryVector: RawText(try ProcText.auxiliaryVector(of: tid.rawValue)), vdsoHeader: nil, details: [],
            mountNamespace: mountNamespace)
        for map in space.maps.value.maps {
            if map.path.elementsEqual("[vdso]".utf8) {
                space.vdsoHeader = RawText(try vdsoHeader(at: map.start, of: tid))
                continue
            }
            guard map.path.first == UInt8(ascii: "/") || map.isFileBacked else { continue }
            if let detail = try lookAtMapping(map, of: tid) { space.details.append(detail) }
        }
        if space.is32Bit, sight.host.compatVdso == nil { sight.host.compatVdso = CompatVdso.current.map { VdsoSight($0) } }
        sight.spaces.append(space)
        identities.add(known, id: sight.spaces.count)
        return sight.spaces.count
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
            do throws(SystemError) {
                detail?.object = object(at: link, name: path, try FileStatus(of: link))
            } catch {
                guard error.name == "EPERM" else { throw error }
                detail?.isForbidden = true
            }
        case .kernel, .vdsoData, .vdsoCode, .anonymous, .other: break
        }
        return detail
    }
}

extension MemorySight {
    /// Looks which pages of a stopped tree hold contents.
    ///
    /// - Parameter disturbed: processes to which a signal was delivered since the sight.
    static func look(at sight: TreeSight, disturbed: Set<HostPid> = []) throws(CaptureError) -> MemorySight {
        let disturbedSpaces = Set(sight.processes.lazy.filter { disturbed.contains($0.pid) }.map(\.space))
        let names = NameTable(sight.names)
        var memory = MemorySight()
        for (index, space) in sight.spaces.enumerated() {
            do throws(SystemError) {
                var maps = space.maps
                if disturbedSpaces.contains(index + 1) {
                    maps = try Seen(ProcText.smaps(of: space.holder.rawValue))
                    memory.changed.append(ChangedSpace(space: index + 1, maps: maps))
                }
                memory.spaces.append(try runs(of: space, maps.value.maps, names))
            } catch {
                let process = sight.processes.first { $0.space == index + 1 }
                throw CaptureError(cannot: "look at the memory of", task: process?.pid ?? space.holder, process?.stat.comm, error)
            }
        }
        for object in sight.objects {
            do throws(SystemError) { memory.objects.append(try runs(of: object)) } catch {
                throw CaptureError(cannot: "look into \(object.name.shown)", error, help: error.call)
            }
        }
        return memory
    }

    private static func runs(of space: SpaceSight, _ maps: [MemoryMap], _ names: NameTable) throws(SystemError) -> [Run] {
        let pages = try PageMap(of: space.holder.rawValue)
        var runs: [PageRun] = []
        for mapping in MappingTable(space, maps, names).all where !mapping.map.isShared {
            switch mapping.nature {
            case .kernel, .vdsoData, .vdsoCode: continue
            case .anonymous, .file, .object, .other: break
            }
            if mapping.map.flags.contains(.droppable) { continue }
            let isFileBacked = mapping.nature == .file || mapping.nature == .object
            try pages.changedRuns(start: mapping.map.start, end: mapping.map.end, fileBacked: isFileBacked, into: &runs)
        }
        var result: [Run] = []
        for run in runs {
            let (page, count) = (run.start / pageSize, run.length / pageSize)
            // Those of neighbouring mappings are joined.
            if let last = result.last, last.page + last.count == page {
                result[result.count - 1].count += count
            } else {
                result.append(Run(page: page, count: count))
            }
        }
        return result
    }

    private static func runs(of object: ObjectSight) throws(SystemError) -> [Run] {
        let file = try Descriptor.open(object.link.bytes)
        return try SparseFile.dataRuns(of: file, size: UInt64(max(0, object.status.size))).map { run in
            let page = run.start / pageSize
            return Run(page: page, count: (run.start + run.length + pageSize - 1) / pageSize - page)
        }
    }

    /// Bytes of all pages together.
    var bytes: UInt64 { (spaces + objects).joined().reduce(0) { $0 + $1.count } * pageSize }
}
