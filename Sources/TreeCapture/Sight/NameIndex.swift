internal import Kernel

/// What names lead to, each looked up once.
struct NameIndex {
    private(set) var all: [NameSight] = []
    private var places: [[UInt8]: Int] = [:]

    /// What a path leads to, links followed; nil: nothing, or it is no path.
    @discardableResult
    mutating func look(_ path: [UInt8]) -> FileStatus? {
        guard path.first == UInt8(ascii: "/") else { return nil }
        if let known = places[path] { return all[known].status }
        places[path] = all.count
        all.append(NameSight(path: RawText(path), status: try? FileStatus(of: path)))
        return all[all.count - 1].status
    }

    /// Programs and libraries are recognised by their build-id, too.
    mutating func lookAtBuildID(of path: [UInt8]) {
        guard let place = places[path], all[place].buildID == nil, all[place].status != nil else { return }
        all[place].buildID = RawText(((try? BuildID.read(from: path)) ?? nil) ?? [])
    }
}
