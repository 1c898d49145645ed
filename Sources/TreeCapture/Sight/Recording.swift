internal import FoundationEssentials
internal import Kernel
internal import LinuxABI

/// The values of a checkpoint as JSON text: for tests of the recorder, and for reports of what went wrong.
///
/// It holds names of programs, files and users, sizes and addresses, registers and the contents of pipes, but no memory and
/// no environment.
struct Recording: Codable, Sendable {
    var sight: TreeSight
    var answers: Answers?
    var memory: MemorySight?

    init(sight: TreeSight, answers: Answers? = nil, memory: MemorySight? = nil) {
        self.sight = sight
        self.answers = answers
        self.memory = memory
    }

    init(json: [UInt8]) throws { self = try JSONDecoder().decode(Recording.self, from: Data(json)) }

    /// Without what an image does not depend on: sums of pages, and the code of the vdso.
    func json() throws -> [UInt8] {
        var slim = self
        for index in slim.sight.spaces.indices {
            slim.sight.spaces[index].maps.raw = Smaps.withoutSums(slim.sight.spaces[index].maps.raw)
        }
        slim.sight.host.vdso?.code = RawText([])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(slim)) + [UInt8(ascii: "\n")]
    }

    func write(to path: String) throws(CaptureError) {
        do {
            try TextFile.write(path, String(decoding: try json(), as: UTF8.self))
        } catch let error as SystemError {
            throw CaptureError(cannot: "write \(path)", error, help: error.call)
        } catch { throw CaptureError("cannot write \(path): EINVAL (\(error))") }
    }
}

extension TreeSight {
    /// See ``TreeLook/sight(of:on:at:relatives:connections:fence:refusesServers:cameForward:)``.
    static func look(
        at members: TreeMembers, on host: HostSight, at instant: TimeStamp, relatives: Relatives, connections: TCPMode = .keep,
        fence: ConnectionFence? = nil, refusesServers: Bool = false, cameForward: @escaping () -> Void = {}
    ) throws(CaptureError) -> TreeSight {
        try TreeLook.sight(
            of: members, on: host, at: instant, relatives: relatives, connections: connections, fence: fence, refusesServers: refusesServers,
            cameForward: cameForward)
    }

    /// By pid of a process that has the memory of another one: the first that has it.
    var memoryOwners: [Int32: Int32] {
        var first: [Int: HostPid] = [:]
        var owners: [Int32: Int32] = [:]
        for process in processes {
            if let owner = first[process.space] { owners[process.pid.rawValue] = owner.rawValue } else { first[process.space] = process.pid }
        }
        return owners
    }
}
