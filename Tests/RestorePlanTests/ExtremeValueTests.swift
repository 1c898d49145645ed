import ArchState
import CheckpointImage
import LinuxABI
import SwiftProtobuf
import Testing

@testable import RestorePlan

/// An image can hold any number in any field. What comes of it is an error, findings or a plan, never a trap.
@Suite struct ExtremeValueTests {
    /// Where numbers end: of 31, 32, 63 and 64 bits, also as the encoding of signed fields (zigzag); and what limits are near.
    private static let values: [UInt64] = [
        0, 1, 65, 4096, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, 1 << 62, UInt64(Int64.max), 1 << 63, .max - 1, .max,
    ]

    private static let modes: [RestartOptions] = [true, false, nil].map { namespace in
        var options = RestartOptions()
        options.newPidNamespace = namespace
        options.keepsPids = namespace != nil
        if namespace == false { options.time = .absolute }
        return options
    }

    /// As crrestart goes on with it until the first process exists.
    ///
    /// - Parameter turn: which of the modes is tried; nil: all of them.
    private func plan(_ records: ImageRecords, _ facts: HostFacts, turn: Int? = nil) -> Bool {
        guard let image = try? CheckpointImage(validating: records) else { return false }
        for thread in image.threads { _ = ThreadActivity(of: thread).description }
        for file in image.openFiles { _ = file.summary(in: image) }
        var isPlanned = false
        for options in turn.map({ [Self.modes[$0 % Self.modes.count]] }) ?? Self.modes {
            guard let valid = try? ValidImage(image, on: facts, options: options) else { continue }
            var plan = RestorePlan(for: valid)
            if !options.keepsPids {
                guard let renumbering = Renumbering(of: image, fresh: facts.freshNumbers), let renumbered = try? renumbering.applied(to: image),
                    let valid = try? ValidImage(renumbered, on: facts, options: options)
                else { continue }
                plan = RestorePlan(for: valid, renumbering: renumbering)
            }
            if !isPlanned { _ = plan.lines() }
            isPlanned = true
            let time = plan.valid.time
            let now = TimePlan.Instant(realtime: 1 << 60, monotonic: 1 << 50, boottime: 1 << 50)
            _ = time.offsets(at: now)
            for one in plan.releaseTimes { _ = one.words(time, at: now, untilRelease: 1_000_000) }
            for one in plan.deadlines { _ = one.words(time, at: now, lead: 1_000_000) }
            for thread in image.threads { _ = time.deadline(left: thread.restartBlock.remaining, clock: thread.restartBlock.clock) }
        }
        return isPlanned
    }

    private func tryAll<Body: Message & Equatable>(
        _ records: WritableKeyPath<ImageRecords, [Body]>, atLeast least: Int, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let sample = Self.sample()
        #expect(plan(sample.records, sample.facts))
        var tried = 0
        for index in sample.records[keyPath: records].indices {
            for mutant in try Mutants(of: sample.records[keyPath: records][index]).all(Self.values) {
                var changed = sample.records
                changed[keyPath: records][index] = mutant
                _ = plan(changed, sample.facts, turn: tried)
                tried += 1
            }
        }
        #expect(tried >= least, sourceLocation: sourceLocation)
    }

    @Test func headersHoldAnything() throws {
        let sample = Self.sample()
        var tried = 0
        for mutant in try Mutants(of: sample.records.header).all(Self.values) {
            var changed = sample.records
            changed.header = mutant
            _ = plan(changed, sample.facts, turn: tried)
            tried += 1
        }
        #expect(tried > 100)
    }

    @Test func processesHoldAnything() throws { try tryAll(\.processes, atLeast: 400) }
    @Test func threadsHoldAnything() throws { try tryAll(\.threads, atLeast: 1000) }
    @Test func addressSpacesHoldAnything() throws { try tryAll(\.addressSpaces, atLeast: 400) }
    @Test func descriptorTablesHoldAnything() throws { try tryAll(\.fileTables, atLeast: 60) }
    @Test func openFilesHoldAnything() throws { try tryAll(\.openFiles, atLeast: 300) }
    @Test func pipesHoldAnything() throws { try tryAll(\.pipes, atLeast: 30) }
    @Test func memoryObjectsHoldAnything() throws { try tryAll(\.memoryObjects, atLeast: 30) }
    @Test func semaphoreSetsHoldAnything() throws { try tryAll(\.semaphoreSets, atLeast: 30) }
    @Test func messageQueuesHoldAnything() throws { try tryAll(\.messageQueues, atLeast: 30) }
    @Test func callFiltersHoldAnything() throws { try tryAll(\.callFilters, atLeast: 10) }
    @Test func directoriesHoldAnything() throws { try tryAll(\.directories, atLeast: 60) }
    @Test func signalActionsHoldAnything() throws { try tryAll(\.signalActions, atLeast: 60) }
    @Test func namespacesHoldAnything() throws { try tryAll(\.namespaces, atLeast: 30) }

    /// The numbers in processor registers are no fields of a message.
    @Test func awaitedNumbersCanBeAnything() throws {
        for (call, places) in [(61, [\X86GeneralRegisters.rdi]), (247, [\.rdi, \.rsi])] {
            for place in places {
                for value in Self.values {
                    var sample = Self.sample()
                    var general = X86GeneralRegisters()
                    general.rip = 0x40_0000
                    general.rax = UInt64(bitPattern: -512)
                    general.originalRAX = UInt64(call)
                    general.rdi = 1
                    general[keyPath: place] = value
                    sample.records.threads[0].cpu = Sample.cpu(general)
                    #expect(plan(sample.records, sample.facts))
                }
            }
        }
    }

    // MARK: - A tree with something of everything

    private static func sample() -> Sample {
        var sample = Sample()
        sample.facts.freshNumbers = Array(7000..<7100)
        sample.facts.spareNumbers = Array(8000..<8100)
        sample.facts.ownCredentials.permitted = .max
        sample.facts.semaphoreSets = [:]
        sample.addThread(102, of: 101)
        sample.addProcess(110, parent: 100)
        sample.records.processes[2].state = .stopped
        sample.records.processes[2].stopSignal = 19
        var zombie = ImageProcess()
        zombie.pid = 111
        zombie.parent = 101
        zombie.group = 100
        zombie.session = 100
        zombie.state = .zombie
        zombie.exitSignal = 17
        zombie.pidNamespace = 1
        sample.records.processes.append(zombie)
        fillProcess(&sample.records.processes[0])
        for index in sample.records.threads.indices { fillThread(&sample.records.threads[index], ImageRestartBlock.Kind(rawValue: index + 1)) }
        fillFiles(&sample)
        let time = sample.addNamespace(.time)
        sample.records.namespaces[Int(time) - 1].time.monotonicOffset = 5
        sample.records.threads[0].namespaces.time = time
        sample.records.signalActions[0].actions = ([10, 17] as [UInt32]).map { signal in
            var action = ImageSignalAction()
            action.signal = signal
            action.handler = 0x40_0010
            return action
        }
        var set = ImageSemaphoreSet()
        set.id = 1
        set.number = 5
        set.mode = 0o666
        set.values = [1]
        set.undo = [ImageSemaphoreUndo()]
        (set.undo[0].thread, set.undo[0].adjustments) = (100, [1])
        sample.records.semaphoreSets = [set]
        var queue = ImageMessageQueue()
        queue.id = 1
        queue.number = 5
        queue.messages = [ImageQueuedMessage()]
        queue.messages[0].type = 1
        sample.records.messageQueues = [queue]
        var filter = ImageCallFilter()
        filter.id = 1
        filter.program = [UInt8]([0x20, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0xff, 0x7f]).asData
        sample.records.callFilters = [filter]
        sample.records.threads[0].callFilters = [1]
        sample.records.threads[0].noNewPrivileges = true
        sample.records.threads[0].callDispatch.mode = 1
        sample.records.addressSpaces[0].mappings[1].protection = 3
        return sample
    }

    private static func fillProcess(_ process: inout ImageProcess) {
        process.posixTimers = (UInt32(0)..<3).map { id in
            var timer = Sample.timer(id)
            timer.interval = UInt64(id) * 1000
            timer.overrun = id
            return timer
        }
        process.pending = [Sample.timerSignal(1)]
        var interval = ImageIntervalTimer()
        interval.remaining = 5
        interval.interval = 7
        process.timers = [interval]
        var limit = ImageLimit()
        limit.soft = 4
        limit.hard = 9
        process.limits = [limit]
    }

    private static func fillThread(_ thread: inout ImageThread, _ kind: ImageRestartBlock.Kind?) {
        thread.restartBlock.kind = kind ?? .nanosleep
        thread.restartBlock.clock = kind == .cpuNanosleep ? UInt32(bitPattern: ~100 << 3 | 2) : 1
        thread.restartBlock.hasTimeout_p = true
        thread.restartBlock.remaining = 77
        thread.timeout.remaining = 99
        thread.alternateStack.address = 0x50_1000
        thread.alternateStack.size = 8192
        thread.rseq.address = 0x50_0000
        thread.rseq.size = 32
        thread.credentials.realUser = 3
        thread.credentials.groups = [4]
        thread.scheduling.nice = 3
        thread.scheduling.affinity = [UInt8]([1]).asData
        thread.pending = [Sample.timerSignal(2)]
    }

    private static func fillFiles(_ sample: inout Sample) {
        var pipe = ImagePipe()
        pipe.id = 1
        pipe.capacity = 65536
        sample.records.pipes = [pipe]
        var object = ImageMemoryObject()
        object.id = 1
        object.size = 8192
        sample.records.memoryObjects = [object]
        var end = ImagePipeEnd()
        end.pipe = 1
        var nameless = ImageNamelessFile()
        nameless.object = 1
        var timer = ImageTimerFile()
        timer.clock = 1
        timer.remaining = 5
        timer.interval = 6
        var named = ImageNamedFile()
        named.identity.path = [UInt8]("/log".utf8).asData
        named.identity.mode = 0o100644
        sample.found("/log", HostFacts.File(size: 2000, modified: 0, mode: 0o100644, buildID: []))
        let objects: [ImageOpenFile.OneOf_Object] = [
            .event(.init()), .signal(.init()), .timer(timer), .pipeEnd(end), .nameless(nameless), .named(named), .outside(.init()), .epoll(.init()),
        ]
        for (index, object) in objects.enumerated() {
            let file = sample.addFile(object, at: [(0, UInt32(3 + index)), (1, UInt32(5 + index))])
            if case .epoll = object { sample.watch(file, 1, number: 3, events: 1, data: 0) }
        }
    }
}
