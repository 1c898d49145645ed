internal import ArchState
internal import Kernel
internal import LinuxABI
internal import StepProgram

extension Questioner {
    /// Has every address space make what tracks its pages, as far as nothing stands in the way; several side by side.
    ///
    /// A space that is disturbed by a signal is not tracked this time.
    ///
    /// - Preconditions: all questions are answered.
    mutating func openTracking(into tracking: Tracking) throws(CaptureError) {
        var batch: [(space: Int, process: ProcessSight, program: TrackProgram, job: Injection.Job)] = []
        for space in sight.spaces.indices {
            guard let process = sight.processes.first(where: { $0.space == space + 1 }), let place = places[space] else { continue }
            if TrackRecord.ranges(in: sight.spaces[space].maps.value.maps).isEmpty { continue }
            do throws(SystemError) {
                guard let (registers, raw) = try ownRegisters(of: process.door.tid) else { continue }
                let program = TrackProgram(at: place)
                let mayBeMade = program.program.steps.allSatisfy { permits.allows($0, process.door.tid, in: place) }
                if !permits.letsIn(process.door.tid, place, registers) || !mayBeMade {
                    tracking.refuse(space + 1, Self.trackingForbidden)
                    continue
                }
                var job = Injection.Job(
                    task: process.door.tid, place: place, program: program.program, dataSize: 0, registers: registers, raw: raw,
                    callIs32Bit: registers.callIs32Bit(process.door.tid.rawValue), isWhole: true)
                job.meanwhile = { tracking.takeDescriptor(of: space + 1, process, program) }
                batch.append((space, process, program, job))
            } catch { throw failure(process, process.door.tid, error) }
            if batch.count == InjectionBatch.width { try run(&batch, tracking) }
        }
        try run(&batch, tracking)
    }

    static let trackingForbidden = Refusal("has a seccomp filter that forbids the calls by which its pages are tracked")

    private mutating func run(
        _ batch: inout [(space: Int, process: ProcessSight, program: TrackProgram, job: Injection.Job)], _ tracking: Tracking
    ) throws(CaptureError) {
        defer { batch = [] }
        if batch.isEmpty { return }
        let outcomes: [Injection.Outcome]
        do throws(BatchError) { outcomes = try InjectionBatch.run(batch.map(\.job)) } catch {
            let entry = batch[error.place]
            guard error.cause.call == Self.mappingCall else { throw failure(entry.process, entry.process.door.tid, error.cause) }
            // All tasks are home, and none of this batch is tracked.
            for entry in batch { tracking.refuse(entry.space + 1, Refusal("gets no working memory: \(error.cause.name)")) }
            return
        }
        for (entry, outcome) in zip(batch, outcomes) {
            guard case .answer(let answer) = outcome else {
                disturbed.insert(entry.process.pid)
                tracking.refuse(entry.space + 1, Refusal("had a signal on its way"))
                continue
            }
            if let error = entry.program.refusal(answer) { tracking.refuse(entry.space + 1, Refusal("could not be tracked: \(error.name) (\(error.call))")) }
            tracking.requireDescriptor(of: entry.space + 1)
        }
    }
}
