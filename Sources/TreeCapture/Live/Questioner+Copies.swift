internal import ArchState
internal import Kernel
internal import LinuxABI

extension Questioner {
    /// Has every address space copied, as far as nothing stands in the way; several side by side.
    ///
    /// - Preconditions: all questions are answered.
    mutating func copySpaces(into copies: SpaceCopies) throws(CaptureError) {
        let obstacles = CopyObstacles(sight, permits, processes, unasked: unasked)
        var waiting: [(space: Int, process: ProcessSight)] = []
        for space in sight.spaces.indices {
            // Without a place, or with registers that cannot be saved, there is a finding already.
            guard let process = sight.processes.first(where: { $0.space == space + 1 }), places[space] != nil else { continue }
            if let refusal = obstacles.obstacle(of: space + 1, process) { copies.refuse(space + 1, refusal) } else { waiting.append((space, process)) }
        }
        var attempts = 0
        while !waiting.isEmpty {
            let count = waiting.count
            try copyNext(&waiting, obstacles, copies)
            attempts = waiting.count < count ? 0 : attempts + 1
            if attempts >= Self.mostAttempts, let next = waiting.first {
                throw failure(next.process, next.process.door.tid, SystemError(Errno.EINTR, in: "too many signals on their way"))
            }
        }
    }

    /// One round: what was disturbed by a signal waits for the next one.
    private mutating func copyNext(
        _ waiting: inout [(space: Int, process: ProcessSight)], _ obstacles: CopyObstacles, _ copies: SpaceCopies
    ) throws(CaptureError) {
        var batch: [(space: Int, process: ProcessSight, program: CopyProgram, job: Injection.Job)] = []
        var rest: [(space: Int, process: ProcessSight)] = []
        for (space, process) in waiting {
            if batch.count == InjectionBatch.width {
                rest.append((space, process))
                continue
            }
            do throws(SystemError) {
                guard let (registers, raw) = try ownRegisters(of: process.door.tid) else { continue }
                let excluded = CopyProgram.excluded(in: sight.spaces[space].maps.value.maps)
                let place: InjectionPlace
                do throws(InjectionObstacle) {
                    place = try InjectionPlace(in: sight.spaces[space], on: sight.host, size: CopyProgram.memorySize(excluded.count))
                } catch {
                    copies.refuse(space + 1, error.refusal)
                    continue
                }
                let program = CopyProgram(at: place, excluding: excluded)
                if !permits.letsIn(process.door.tid, place, registers) {
                    copies.refuse(space + 1, CopyObstacles.ofFilter)
                } else if let refusal = obstacles.confinement(process, program, in: place) {
                    copies.refuse(space + 1, refusal)
                } else {
                    let job = Injection.Job(
                        task: process.door.tid, place: place, program: program.program, dataSize: 0, registers: registers, raw: raw,
                        callIs32Bit: registers.callIs32Bit(process.door.tid.rawValue), isWhole: true)
                    batch.append((space, process, program, job))
                }
            } catch { throw failure(process, process.door.tid, error) }
        }
        waiting = rest
        if batch.isEmpty { return }
        let outcomes: [Injection.Outcome]
        do throws(BatchError) { outcomes = try InjectionBatch.run(batch.map(\.job)) } catch {
            let entry = batch[error.place]
            guard error.cause.call == Self.mappingCall else { throw failure(entry.process, entry.process.door.tid, error.cause) }
            copies.refuse(entry.space + 1, Refusal("gets no working memory: \(error.cause.name)"))
            // All tasks are home. Copies that others have made are not known, and end by themselves.
            waiting += batch.filter { $0.space != entry.space }.map { ($0.space, $0.process) }
            return
        }
        for (entry, outcome) in zip(batch, outcomes) {
            guard case .answer(let answer) = outcome else {
                disturbed.insert(entry.process.pid)
                waiting.append((entry.space, entry.process))
                continue
            }
            do throws(SystemError) { try hold(entry.program.outcome(answer), of: entry.process, entry.program, entry.job.place, copies) } catch {
                copies.refuse(entry.space + 1, Refusal("could not be copied: \(error.name) (\(error.call))"))
            }
        }
    }

    private func hold(
        _ outcome: CopyProgram.Outcome, of process: ProcessSight, _ program: CopyProgram, _ place: InjectionPlace, _ copies: SpaceCopies
    ) throws(SystemError) {
        switch outcome {
        case .changed(let errno): throw SystemError(errno, in: "madvise: memory that was excluded from children is not any more")
        case .refused(let errno, let call): throw SystemError(errno, in: call)
        case .copied(let number):
            try FaultPoint.copyMemory.pass("clone")
            guard let pid = try MemoryCopy.find(number, inNamespaceOf: process.pid.rawValue) else { throw SystemError(Errno.ESRCH, in: "find the copy") }
            try MemoryCopy.hold(pid, ready: program.ready) { raw in
                (try? X86GeneralRegisters(registerSet: raw)).map { place.isInStub($0.rip) } ?? false
            }
            copies.add(HostPid(pid), of: process.space)
        }
    }
}
