import CheckpointImage
import FoundationEssentials
import Testing

/// Rules of filters of system calls, and of calls that come back as signals.
extension RuleTests {
    /// Allows everything: BPF_RET | BPF_K.
    private static let allowing = Data([6, 0, 0, 0, 0, 0, 0xff, 0x7f])

    private static func filter(_ id: UInt32, _ change: (inout ImageCallFilter) -> Void = { _ in }) -> ImageCallFilter {
        var filter = ImageCallFilter()
        filter.id = id
        filter.program = allowing
        change(&filter)
        return filter
    }

    private static func strict(_ id: UInt32) -> ImageCallFilter {
        filter(id) { ($0.strict, $0.program) = (true, Data()) }
    }

    private static func dispatch(_ mode: UInt32, _ selector: UInt64 = 0, _ offset: UInt64 = 0, _ length: UInt64 = 0) -> ImageCallDispatch {
        var dispatch = ImageCallDispatch()
        (dispatch.mode, dispatch.selector, dispatch.offset, dispatch.length) = (mode, selector, offset, length)
        return dispatch
    }

    static let confinement: [Breach] = [
        Breach(.zeroID, "call filter") { $0.callFilters = [filter(0)] },
        Breach(.duplicateID, "call filter 1") { $0.callFilters = [filter(1), filter(1)] },
        Breach(.callFilter, "call filter 1") { $0.callFilters = [filter(1) { $0.program = Data() }] },
        Breach(.callFilter, "call filter 1") { $0.callFilters = [filter(1) { $0.program = allowing + [0] }] },
        Breach(.callFilter, "call filter 2") { $0.callFilters = [filter(1), filter(2) { $0.program = Data([5, 0, 0, 0, 9, 0, 0, 0]) + allowing }] },
        Breach(.callFilter, "call filter 1") { $0.callFilters = [filter(1) { $0.strict = true }] },
        Breach(.noCallFilter, "thread 11 of process 10") { $0.threads[1].callFilters = [1] },
        Breach(.noCallFilter, "thread 11 of process 10") { records in
            records.callFilters = [filter(1), strict(2)]
            records.threads[1].callFilters = [1, 2]
        },
        // As many as no kernel lets be.
        Breach(.noCallFilter, "thread 11 of process 10") { records in
            records.callFilters = [filter(1)]
            records.threads[1].callFilters = [UInt32](repeating: 1, count: 6554)
        },
        Breach(.callDispatch, "thread 10 of process 10") { $0.threads[0].callDispatch = dispatch(3) },
        Breach(.callDispatch, "thread 10 of process 10") { $0.threads[0].callDispatch = dispatch(0, 4096) },
        Breach(.callDispatch, "thread 10 of process 10") { $0.threads[0].callDispatch = dispatch(1, end) },
        Breach(.callDispatch, "thread 10 of process 10") { $0.threads[0].callDispatch = dispatch(1, 0, 5, .max) },
        Breach(.callDispatch, "thread 10 of process 10") { $0.threads[0].callDispatch = dispatch(1, 0, 5, 0) },
    ]

    @Test func confinedThreadsAreKept() throws {
        var records = Sample.records()
        records.callFilters = [Self.filter(1), Self.filter(7) { $0.logs = true }, Self.strict(9)]
        records.threads[0].callFilters = [7, 1, 1]
        records.threads[1].callFilters = [9]
        records.threads[0].callDispatch = Self.dispatch(1, 4096, 0x1000, 0x1000)
        let image = try readFile(Sample.image(records))
        #expect(image.callFilters == records.callFilters && image.threads == records.threads)
        #expect(image.threads[0].callFilters.compactMap { image.callFilter($0)?.summary } == ["filter of 1 instruction, logs", "filter of 1 instruction", "filter of 1 instruction"])
        #expect(image.callFilter(9)?.summary == "strict mode" && image.callFilter(9)?.filter == nil && image.callFilter(2) == nil)
    }
}
