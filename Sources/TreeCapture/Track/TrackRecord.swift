internal import CheckpointImage
internal import Kernel

/// What a keeper holds of a tree: which memory is tracked, and since which image. Pure.
struct TrackRecord: Equatable, Sendable {
    /// A process, by what no other one has.
    struct Process: Hashable, Sendable {
        var pid: Int32
        /// As `/proc/PID/stat` tells it.
        var startTime: UInt64

        init(pid: Int32, startTime: UInt64) {
            self.pid = pid
            self.startTime = startTime
        }

        init(_ process: ProcessSight) { self.init(pid: process.pid.rawValue, startTime: process.stat.value.startTime) }

        /// The process that a thread belongs to. Nil: it has ended.
        init?(of tid: HostPid) {
            guard let pid = (try? TaskStatus(of: tid.rawValue))?.processID, let stat = try? ProcessStat(of: pid) else { return nil }
            self.init(pid: pid, startTime: stat.startTime)
        }
    }

    struct Space: Equatable, Sendable {
        /// The id that it has in the image.
        var id: UInt32
        /// All that have it.
        var processes: [Process]
        /// Ascending, whole mappings.
        var ranges: [PageRun]
    }

    private static let firstLine = "crcheckpoint track 1"
    private static let lastLine = "end"

    /// Of the image since which it is tracked.
    var identity: [UInt8]
    var spaces: [Space]

    init(identity: [UInt8], spaces: [Space]) {
        self.identity = identity
        self.spaces = spaces
    }

    /// One line each: the first one, the identity, for each space its id, its processes, its ranges; the last one.
    var text: [UInt8] {
        var lines = [Self.firstLine, identity.map { String($0, radix: 16) }.joined(separator: " ")]
        for space in spaces {
            lines.append("\(space.id)")
            lines.append(space.processes.map { "\($0.pid) \($0.startTime)" }.joined(separator: " "))
            lines.append(space.ranges.map { "\(String($0.start, radix: 16)) \(String($0.length, radix: 16))" }.joined(separator: " "))
        }
        return Array((lines.joined(separator: "\n") + "\n\(Self.lastLine)\n").utf8)
    }

    /// Nil: another version wrote it.
    init?(_ text: [UInt8]) {
        var lines = String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count >= 4, lines.count % 3 == 1, lines[0] == Self.firstLine, lines.removeLast().isEmpty, lines.removeLast() == Self.lastLine else {
            return nil
        }
        func numbers(_ line: String, radix: Int) -> [UInt64]? {
            let parts = line.split(separator: " ")
            let numbers = parts.compactMap { UInt64($0, radix: radix) }
            return numbers.count == parts.count ? numbers : nil
        }
        guard let identity = numbers(lines[1], radix: 16), identity.count == ImageFormat.identityLength, identity.allSatisfy({ $0 < 256 }) else { return nil }
        self.identity = identity.map { UInt8($0) }
        spaces = []
        for at in stride(from: 2, to: lines.count, by: 3) {
            guard let id = UInt32(lines[at]), let processes = numbers(lines[at + 1], radix: 10), let ranges = numbers(lines[at + 2], radix: 16),
                processes.count % 2 == 0, ranges.count % 2 == 0
            else { return nil }
            let pairs = { (list: [UInt64]) in stride(from: 0, to: list.count, by: 2).map { (list[$0], list[$0 + 1]) } }
            spaces.append(
                Space(
                    id: id, processes: pairs(processes).map { Process(pid: Int32(clamping: $0), startTime: $1) },
                    ranges: pairs(ranges).map { PageRun(start: $0, length: $1) }))
        }
    }

    func space(of process: Process) -> Space? { spaces.first { $0.processes.contains(process) } }

    /// Parts of a mapping that are tracked.
    static func parts(of map: MemoryMap, in ranges: [PageRun]) -> [PageRun] {
        ranges.compactMap { range in
            let (start, end) = (max(range.start, map.start), min(range.end, map.end))
            return start < end ? PageRun(start: start, length: end - start) : nil
        }
    }

    /// Mappings that are worth it, and of which the kernel's word can be trusted: private memory without a file, in pages of the usual kind.
    /// (Where pages of a file come back after `MADV_DONTNEED`, the kernel says of them that they were not written.)
    static func ranges(in maps: [MemoryMap]) -> [PageRun] {
        maps.compactMap { map in
            let isPlain = !map.isShared && !map.isFileBacked && map.kernelMemory == nil && map.protectionKey == 0
            let isKnown = map.flags.isDisjoint(with: unsuitable) && map.pageSize == pageSize
            let isOwn = map.path.isEmpty || map.path.elementsEqual("[heap]".utf8) || map.path.starts(with: "[anon:".utf8)
            return isPlain && isKnown && isOwn && map.anonymous >= least ? PageRun(start: map.start, length: map.end - map.start) : nil
        }
    }

    /// Bytes in memory from which a mapping is tracked.
    private static let least: UInt64 = 256 << 10
    private static let unsuitable: MappingFlags = [
        .growsDown, .hugeTLB, .deviceMemory, .rawFrames, .mixedFrames, .droppable, .sealed, .shadowStack, .memoryTagging, .userfaultMissing,
        .userfaultMinor,
    ]
}
