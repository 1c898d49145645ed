internal import CheckpointImage
internal import Kernel

/// System V shared memory. Saved are the segments that the tree has attached: their contents are memory objects.
enum SharedSegment {
    static func look(_ sight: inout TreeSight) {
        guard let all = try? SharedSegmentState.all(), !all.isEmpty else { return }
        sight.segments = all.map { state in
            SharedSegmentSight(
                number: state.number, key: state.key, mode: state.mode, owner: state.owner, group: state.group, size: state.size,
                isRemoved: state.isRemoved, isLocked: state.isLocked, creator: HostPid(state.creator), attached: state.attached)
        }
    }

    static func isSegment(_ path: [UInt8]) -> Bool { path.starts(with: "/SYSV".utf8) }

    /// Whether the memory object at a place is a segment that can be made again.
    static func isKnown(_ place: Int?, in sight: TreeSight) -> Bool {
        guard let place, sight.objects.indices.contains(place - 1) else { return false }
        return segment(of: sight.objects[place - 1], in: sight) != nil
    }

    /// The segment behind a memory object: its number is the inode number, and its name has the key.
    static func segment(of object: ObjectSight, in sight: TreeSight) -> ImageSharedSegment? {
        guard isSegment(object.name.bytes),
            let state = sight.segments?.first(where: { UInt64($0.number) == object.status.inode && $0.size == UInt64(max(0, object.status.size)) })
        else { return nil }
        var segment = ImageSharedSegment()
        segment.number = UInt32(bitPattern: state.number)
        segment.key = state.key
        segment.mode = state.mode
        segment.owner = state.owner
        segment.group = state.group
        segment.removed = state.isRemoved
        segment.locked = state.isLocked
        return segment
    }
}

extension Recorder {
    /// What cannot be attached again as it is.
    mutating func checkSegments() {
        var attached: [UInt32: (count: UInt64, pid: HostPid)] = [:]
        for (index, space) in records.addressSpaces.enumerated() {
            let pid = sight.processes.first { $0.space == index + 1 }?.pid ?? sight.spaces[index].holder
            /// By memory object and where its first byte lies: how far it is mapped without a gap.
            var reached: [UInt32: [UInt64: UInt64]] = [:]
            for mapping in space.mappings where mapping.kind == .object {
                guard let object = records.memoryObjects.first(where: { $0.id == mapping.object }), object.hasSegment else { continue }
                attached[object.id, default: (0, pid)].count += 1
                let base = mapping.start &- mapping.offset
                if reached[object.id]?[base] ?? 0 == mapping.offset {
                    reached[object.id, default: [:]][base] = mapping.offset + mapping.end - mapping.start
                } else {
                    reached[object.id, default: [:]][base] = 0
                }
            }
            for (id, pieces) in reached {
                guard let object = records.memoryObjects.first(where: { $0.id == id }) else { continue }
                for (base, end) in pieces where end != (object.size + 4095) / 4096 * 4096 {
                    find(
                        pid, "mapping \(hexadecimal(base)) \(object.name.asText)",
                        "is a part of System V shared memory \(object.segment.number), which cannot be saved: the whole of it could",
                        help: "let the program unmap it by shmdt")
                }
            }
        }
        for (id, own) in attached.sorted(by: { $0.key < $1.key }) {
            guard let object = records.memoryObjects.first(where: { $0.id == id }),
                let state = sight.segments?.first(where: { UInt32(bitPattern: $0.number) == object.segment.number })
            else { continue }
            if state.attached > own.count {
                find(
                    own.pid, "System V shared memory \(state.number)",
                    "is attached by a process outside of the tree, too (\(state.attached - own.count) of \(state.attached) times)",
                    help: "checkpoint the tree that holds all of them; ipcs -mp tells their pids")
            }
        }
        for state in sight.segments ?? [] where state.attached == 0 {
            guard let maker = sight.processes.first(where: { $0.pid == state.creator }) else { continue }
            notice(
                "\(maker.pid) \(command(of: maker.pid)) has made System V shared memory \(state.number), which no process has attached: its contents are not in the image, it stays where it is"
            )
        }
    }
}
