internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Pipes: an open file for each end that is held, and one record for what the ends share.
///
/// Details: `pipe`, its number; `out`, where one end is held outside of the tree only; at the first end of each pipe
/// `capacity`, `packets`, where each write stays one piece, and `packet0`, `packet1`, ... in order (one piece for a pipe
/// without packets).
enum PipeEnd: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool {
        sight.status.kind == .pipe && sight.target.bytes.starts(with: "pipe:".utf8)
    }

    static func access(_ sight: OpenFileSight) -> UInt32 { sight.info.value.openFlags & OpenFlag.O_ACCMODE }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) { look(&sights, after: 0, &tree) }

    /// - Parameter count: of the pipes that have numbers already.
    static func look(_ sights: inout [OpenFileSight], after count: Int, _ tree: inout TreeLook) {
        var order: [TreeLook.FileKey] = []
        var ends: [TreeLook.FileKey: [Int]] = [:]
        for index in sights.indices {
            let key = TreeLook.FileKey(sights[index].status)
            if ends[key] == nil { order.append(key) }
            ends[key, default: []].append(index)
        }
        for (number, key) in order.enumerated() {
            let places = ends[key] ?? []
            for place in places { sights[place][number: "pipe"] = UInt64(count + number + 1) }
            do throws(SystemError) { try look(&sights, places, &tree) } catch { sights[places[0]].fail(error) }
        }
    }

    /// Looks into one pipe. Whether its other end is held at all is seen through a writing end for the readers, through a
    /// reading one for the writers.
    private static func look(_ sights: inout [OpenFileSight], _ places: [Int], _ tree: inout TreeLook) throws(SystemError) {
        let hasReaders = places.contains { access(sights[$0]) != OpenFlag.O_WRONLY }
        let hasWriters = places.contains { access(sights[$0]) != OpenFlag.O_RDONLY }
        let first = sights[places.first { access(sights[$0]) != OpenFlag.O_WRONLY } ?? places[0]]
        let look = try PipeLook(of: first.holder.rawValue, descriptor: first.number, access: access(first))
        if Fifo.claims(first) {
            if !look.hasWriter { for place in places where access(sights[place]) == OpenFlag.O_RDONLY { try Fifo.noteEnd(&sights[place]) } }
        } else if !hasReaders && look.hasReader && !tree.closesWithCheckpointer(first.target.bytes, isWriter: false)
            || !hasWriters && look.hasWriter && !tree.closesWithCheckpointer(first.target.bytes, isWriter: true)
        {
            for place in places { sights[place].details["out"] = "1" }
            return
        }
        sights[places[0]][number: "capacity"] = UInt64(look.capacity)
        let areKept = places.contains { access(sights[$0]) != OpenFlag.O_RDONLY && hasPackets(sights[$0]) } || !hasWriters && hasPackets(sights[places[0]])
        if areKept { sights[places[0]].details["packets"] = "1" }
        let packets = try look.contents(packets: areKept)
        for (index, packet) in packets.enumerated() { sights[places[0]].details["packet\(index)"] = RawText(packet) }
    }

    private static func hasPackets(_ sight: OpenFileSight) -> Bool { sight.info.value.openFlags & OpenFlag.O_DIRECT != 0 }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        let number = sight[number: "pipe"] ?? 0
        if sight.details["out"] != nil { return recordOutside(sight, number, &recorder) }
        recordPipe(sight, id, &recorder)
        var object = ImagePipeEnd()
        object.pipe = UInt32(truncatingIfNeeded: number)
        object.writeEnd = access(sight) == OpenFlag.O_WRONLY
        object.bothEnds = access(sight) == OpenFlag.O_RDWR
        return .object(.pipeEnd(object))
    }

    /// What the ends share, at the first of them.
    static func recordPipe(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) {
        if let failure = sight.failure {
            recorder.find(recorder.places[id - 1].prefix(1), "the pipe cannot be looked into: \(failure.errno)", help: failure.call)
        }
        if let capacity = sight[number: "capacity"] {
            var pipe = ImagePipe()
            pipe.id = UInt32(truncatingIfNeeded: sight[number: "pipe"] ?? 0)
            pipe.capacity = UInt32(truncatingIfNeeded: capacity)
            pipe.packets = sight.details["packets"] != nil
            var index = 0
            while let packet = sight.details["packet\(index)"] {
                pipe.contents.append(packet.bytes.asData)
                index += 1
            }
            recorder.records.pipes.append(pipe)
        }
    }

    /// A pipe to a process outside of the tree: one of descriptors 0, 1, 2 of crrestart can stand in for it where no other
    /// number leads to it.
    private static func recordOutside(_ sight: OpenFileSight, _ number: UInt64, _ recorder: inout FileRecorder) -> Captured {
        let ends = recorder.sight.files.indices.filter {
            recorder.sight.files[$0][number: "pipe"] == number && claims(recorder.sight.files[$0])
        }
        let places = ends.flatMap { recorder.places[$0] }
        let wrong = places.filter { $0.number > Outside.lastStandIn }
        if !wrong.isEmpty {
            let isWriter = access(sight) == OpenFlag.O_WRONLY
            let example = wrong[0].number
            recorder.find(
                wrong, "is the \(isWriter ? "write" : "read") end of a pipe whose other end is outside of the tree",
                help: "start it with \(example)\(isWriter ? ">" : "<")&- if it does not need the pipe; else checkpoint the tree that holds both ends",
                otherEnd: .pipe(inode: sight.status.inode, isWriter: !isWriter))
            return .found
        }
        guard let first = places.first else { return .found }
        return .object(.outside(Outside.standIn(for: places, "the pipe at \(first.number) of \(first.process)")))
    }
}
