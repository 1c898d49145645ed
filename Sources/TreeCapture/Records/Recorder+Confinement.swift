internal import CheckpointImage
internal import LinuxABI

extension Recorder {
    /// What makes it useless to ask the tasks: filters that cannot be saved.
    mutating func check(_ permits: CallConfinement) {
        for (process, thread) in sight.threads {
            for refusal in permits.threads[thread.tid]?.refusals ?? [] {
                find(process.pid, thread.tid == process.pid ? "task" : "thread \(thread.tid)", refusal)
            }
        }
    }

    /// Filters by their places in the answers, from 1; the strict mode has the id after the last.
    func recordConfinement(_ thread: inout ImageThread, _ answer: ThreadAnswers) {
        if let filters = answer.callFilters {
            thread.callFilters = filters.isStrict ? [Self.strictID] : filters.places.map { UInt32($0 + 1) }
        }
        if let dispatch = answer.callDispatch {
            thread.callDispatch.mode = UInt32(clamping: dispatch.mode)
            thread.callDispatch.selector = dispatch.selector
            thread.callDispatch.offset = dispatch.offset
            thread.callDispatch.length = dispatch.length
        }
    }

    private static let strictID = UInt32.max

    mutating func recordFilters(_ answers: Answers) {
        records.callFilters = (answers.filters ?? []).enumerated().map { index, filter in
            var record = ImageCallFilter()
            record.id = UInt32(index + 1)
            record.program = filter.program.bytes.asData
            record.logs = filter.logs
            return record
        }
        if answers.threads.contains(where: { $0.callFilters?.isStrict == true }) {
            var record = ImageCallFilter()
            record.id = Self.strictID
            record.strict = true
            records.callFilters.append(record)
        }
    }
}
