internal import CheckpointImage
internal import Kernel

/// Where pages are read from while the tree runs on: from copies, and what no copy holds from what was set aside.
struct LivePages {
    private(set) var pages: [PageOrigin] = []
    /// Read while the tree stood still.
    private(set) var bytesAtOnce: UInt64 = 0
    private var spools: [Spool] = []

    /// Holds pages for as long as they are needed.
    private final class Spool {
        var pages: PageSpool
        init() throws(SystemError) { pages = try PageSpool() }
    }

    /// What becomes of a source: pure.
    ///
    /// - Parameter copies: by task whose memory is copied: the copy.
    /// - Returns: nil: it has to be read at once.
    static func source(_ source: PageOrigin.Source, _ copies: [HostPid: HostPid]) -> PageOrigin.Source? {
        switch source {
        case .file: return nil
        case .task(let task): return copies[task].map { .task($0) }
        case .tasks(let parts):
            var all: [PageOrigin.TaskRuns] = []
            for part in parts {
                guard let copy = copies[part.task] else { return nil }
                all.append(PageOrigin.TaskRuns(task: copy, runs: part.runs))
            }
            return .tasks(all)
        }
    }

    /// - Preconditions: the tree stands still, and will until this returns.
    /// - Parameters:
    ///   - runs: the pages of an owner.
    ///   - check: called from time to time.
    init(
        _ origins: [PageOrigin], runs: (PageOrigin.Owner) -> [(page: UInt64, count: UInt64)], _ copies: [HostPid: HostPid],
        check: () throws(CaptureError) -> Void
    ) throws(CaptureError) {
        for origin in origins {
            if let source = Self.source(origin.source, copies) {
                pages.append(PageOrigin(owner: origin.owner, source: source))
                continue
            }
            let wanted = runs(origin.owner).map { (start: $0.page * pageSize, length: $0.count * pageSize) }
            if wanted.isEmpty {
                pages.append(origin)
                continue
            }
            let path: [UInt8]
            do throws(SystemError) { path = try setAside(wanted, of: origin.source) } catch {
                throw CaptureError(cannot: "set pages of the tree aside", error, help: "\(error.call): --live=never writes them while it stands still")
            }
            pages.append(PageOrigin(owner: origin.owner, source: .file(path)))
            try check()
        }
    }

    private mutating func setAside(_ runs: [(start: UInt64, length: UInt64)], of source: PageOrigin.Source) throws(SystemError) -> [UInt8] {
        let spool = try Spool()
        switch source {
        case .file(let path): try spool.pages.append(runs, ofFile: try Descriptor.openToCopy(path))
        case .task(let task): try spool.pages.append(runs, of: task.rawValue)
        case .tasks(let parts): for part in parts { try spool.pages.append(Array(runs[part.runs]), of: part.task.rawValue) }
        }
        bytesAtOnce += spool.pages.bytes
        spools.append(spool)
        return spool.pages.path
    }
}
