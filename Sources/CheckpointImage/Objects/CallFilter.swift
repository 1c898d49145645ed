package import ArchState
internal import LinuxABI

/// Filters of system calls. They are put back when everything else has been done.
extension ImageCallFilter {
    /// Nil for the strict mode, which has no program.
    package var filter: SeccompFilter? { strict ? nil : SeccompFilter(program.asBytes) }

    package var length: Int { program.count / 8 }

    package var summary: String { strict ? "strict mode" : "filter of \(length) instruction\(length == 1 ? "" : "s")\(logs ? ", logs" : "")" }
}

extension ImageLookup {
    /// Of all filters of one thread, with 4 for each. Source: kernel/seccomp.c, MAX_INSNS_PER_PATH.
    private static let mostInstructions = 1 << 15

    mutating func validateCallFilters(_ records: ImageRecords, userEnd: UInt64) throws(ImageError) {
        callFilter = try index(records.callFilters, "call filter", \.id)
        for one in records.callFilters {
            let isWhole = one.strict ? one.program.isEmpty && !one.logs : one.filter != nil
            try require(isWhole, .callFilter, "call filter \(one.id)")
        }
        for thread in records.threads {
            let subject = { "thread \(thread.tid) of process \(thread.process)" }
            var room = Self.mostInstructions
            for id in thread.callFilters {
                guard let filter = callFilter[id].map({ records.callFilters[$0] }) else { throw .rule(.noCallFilter, subject()) }
                room -= filter.length + 4
                try require(room >= 0 && (!filter.strict || thread.callFilters.count == 1), .noCallFilter, subject())
            }
            try require(thread.callFilters.isEmpty || !thread.hasExited_p, .exitedThread, subject())
            let dispatch = thread.callDispatch
            let (end, isBeyond) = dispatch.offset.addingReportingOverflow(dispatch.length)
            let isOff = dispatch.selector == 0 && dispatch.offset == 0 && dispatch.length == 0
            try require(
                dispatch.mode == 0
                    ? isOff
                    : UInt64(dispatch.mode) <= Prctl.PR_SYS_DISPATCH_INCLUSIVE_ON && dispatch.selector < userEnd && !isBeyond
                        && (dispatch.offset == 0 || end > dispatch.offset), .callDispatch, subject())
        }
    }
}
