internal import Kernel

/// Which pages of one address space hold contents.
struct SpaceLook: Sendable {
    /// Its mappings, read again.
    var changed: Seen<Smaps>?
    var contents: [MemorySight.Run] = []
    var guards: [MemorySight.Run] = []
    var words: [MemorySight.RobustWordSight] = []

    /// - Parameters:
    ///   - table: of the sight.
    ///   - isDisturbed: its mappings may have changed since.
    init(_ space: SpaceSight, _ table: MappingTable, isDisturbed: Bool, _ names: NameTable, _ threads: [ThreadSight]) throws(SystemError) {
        var table = table
        if isDisturbed {
            let maps = try Seen<Smaps>(ProcText.smaps(of: space.holder.rawValue))
            table = MappingTable(space, maps.value.maps, names)
            changed = maps
        }
        let pages = try PageMap(of: space.holder.rawValue)
        var runs: [PageRun] = []
        var guards: [PageRun] = []
        for question in Self.questions(table) {
            switch question.kind {
            case .guards: try pages.guardRuns(start: question.start, end: question.end, into: &guards)
            case .anonymous, .file:
                try pages.changedRuns(
                    start: question.start, end: question.end, fileBacked: question.kind == .file, into: &runs, guards: &guards)
            }
        }
        (contents, self.guards) = (Self.joined(runs), Self.joined(guards))
        let files = table.all.filter { $0.nature == .file && $0.map.isShared && $0.map.protection.contains(.write) }.map(\.map)
        if !files.isEmpty && !space.is32Bit { words = RobustWords.look(files, threads) }
    }

    /// What is asked about the pages of a range: of shared mappings only where guard pages are.
    struct Question: Equatable {
        enum Kind { case anonymous, file, guards }
        var kind: Kind
        var start: UInt64
        var end: UInt64
    }

    /// Questions that go through all mappings, in order. One goes over several of the same kind, such as the parts of a library,
    /// and over small holes between them; nothing of another mapping is in its range.
    static func questions(_ table: MappingTable) -> [Question] {
        let largestHole: UInt64 = 1 << 20
        var questions: [Question] = []
        var mayGoOn = false
        for mapping in table.all {
            let kind: Question.Kind
            switch mapping.nature {
            case .kernel, .vdsoData, .vdsoCode, .other:
                mayGoOn = false
                continue
            case .anonymous: kind = mapping.map.isShared ? .guards : .anonymous
            case .file, .object: kind = mapping.map.isShared ? .guards : .file
            }
            if kind != .guards && mapping.map.flags.contains(.droppable) {
                mayGoOn = false
                continue
            }
            let (start, end) = (mapping.map.start, mapping.map.end)
            if mayGoOn, let last = questions.last, last.kind == kind, start >= last.end, start - last.end <= largestHole {
                questions[questions.count - 1].end = end
            } else {
                questions.append(Question(kind: kind, start: start, end: end))
            }
            mayGoOn = true
        }
        return questions
    }

    /// Runs of pages, those of neighbouring mappings joined.
    private static func joined(_ runs: [PageRun]) -> [MemorySight.Run] {
        var result: [MemorySight.Run] = []
        for run in runs {
            let (page, count) = (run.start / pageSize, run.length / pageSize)
            if let last = result.last, last.page + last.count == page {
                result[result.count - 1].count += count
            } else {
                result.append(MemorySight.Run(page: page, count: count))
            }
        }
        return result
    }
}
