internal import ArchState
internal import Kernel
internal import LinuxABI

extension TimedCalls {
    /// Points the calls that will be made again at what is left of their time, so that a tree that goes on does not
    /// wait longer than it asked to. Their other registers stay as they are.
    ///
    /// - Preconditions: the tasks are stopped and about to be released.
    /// - If this process dies in the middle: each thread waits either the rest or its whole time.
    func shorten(_ processOf: [Int32: Int32]) {
        var places: [Int32: (slots: TimeSlots, used: Set<UInt64>)] = [:]
        let processOf = memoryOwners(processOf)
        for (tid, wait) in waits {
            guard let process = processOf[tid], var registers = generalRegisters(of: tid),
                let argument = registers.timeoutOfRepeatedCall(is32Bit: wait.is32Bit), registers.call == wait.call
            else { continue }
            let left = UInt64(max(0, wait.deadline -| SystemClock.monotonic.now()))
            if wait.source == .memory {
                // The kernel wrote what was left when we stopped it; the stop has lasted since.
                try? RemoteMemory.write(tid, at: registers[argument.register], argument.bytes(nanoseconds: left))
                continue
            }
            if argument.form == .milliseconds {
                registers[argument.register] = TimeoutArgument.milliseconds(nanoseconds: left)
            } else {
                if places[process] == nil { places[process] = slots(of: process, by: tid, processOf) }
                guard var place = places[process] else { continue }
                let held = registers[argument.register]
                guard let slot = place.slots.contains(held) ? held : place.slots.free(besides: place.used) else {
                    log("thread \(tid) begins its call anew with its whole timeout: too many threads wait that way")
                    continue
                }
                place.used.insert(slot)
                places[process] = place
                do throws(SystemError) {
                    try RemoteMemory.force(tid, at: slot, argument.bytes(nanoseconds: left))
                } catch { continue }
                registers[argument.register] = slot
            }
            try? Trace.setRegisters(.general, of: tid, to: registers.registerSet)
        }
    }

    /// By tid: one process of those that have its memory. They have one room for timeouts.
    private func memoryOwners(_ processOf: [Int32: Int32]) -> [Int32: Int32] {
        if let known = memoryOwners { return processOf.mapValues { known[$0] ?? $0 } }
        // The look at the tree was not finished.
        let waiting = Set(waits.keys.compactMap { processOf[$0] })
        guard waiting.count > 1 else { return processOf }
        var owners: [Int32: Int32] = [:]
        var known: [Int32] = []
        for process in Set(processOf.values).sorted() {
            let found = try? Kernel.find(among: known) { other throws(SystemError) in
                try compare(.memory, of: process, with: other)
            }
            owners[process] = found?.same ?? process
            if let found, found.same == nil { known.insert(process, at: found.place) }
        }
        return processOf.mapValues { owners[$0] ?? $0 }
    }

    /// Where a process has room for timeouts, and what of it its threads still point to.
    private func slots(of process: Int32, by task: Int32, _ processOf: [Int32: Int32]) -> (slots: TimeSlots, used: Set<UInt64>)? {
        guard let maps = try? MemoryMap.plain(of: task), let vdso = Vdso.find(in: maps),
            let header = try? RemoteMemory.read(task, at: vdso.codeStart, count: 20),
            let code = Vdso.kind(ofHeader: header) == .compat
                ? CompatVdso.current?.code : (try? Vdso.current())??.codeBytes()
        else { return nil }
        let slots = TimeSlots(vdsoEnd: vdso.codeEnd, code: code)
        var used: Set<UInt64> = []
        for (tid, owner) in processOf where owner == process {
            guard let registers = generalRegisters(of: tid) else { continue }
            for pointer in [registers.rdx, registers.r10, registers.r8, registers.rsi, registers.rdi, registers.rbp] where slots.contains(pointer) {
                used.insert(pointer)
            }
        }
        return (slots, used)
    }
}
