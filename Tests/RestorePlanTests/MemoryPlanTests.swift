import CheckpointImage
import LinuxABI
import StepProgram
import Testing

@testable import RestorePlan

/// The steps for what belongs to memory as a whole.
@Suite struct MemoryPlanTests {
    private func steps(_ change: (inout Sample) -> Void) throws -> [Step] {
        var sample = Sample()
        change(&sample)
        return RestorePlan(for: try sample.valid()).launchpad.programs[0].steps
    }

    private func place(_ steps: [Step], _ name: String, _ arguments: [Step.Argument]) throws -> Int {
        try #require(steps.firstIndex { $0.name == name && Array($0.arguments.prefix(arguments.count)) == arguments })
    }

    @Test func guardsComeBeforeLocksAndAfterPages() throws {
        let steps = try steps { sample in
            sample.records.addressSpaces[0].guardPage = [0x501]
            sample.records.addressSpaces[0].guardLength = [2]
            sample.records.addressSpaces[0].mappings[1].flags = 1 << UInt64(ImageMappingFlag.locked.rawValue)
        }
        let guards = try place(steps, "madvise", [.value(0x50_1000), .value(0x2000), .value(102)])
        let lock = try place(steps, "mlock2", [.value(0x50_0000), .value(0x4000), .value(0)])
        let load = try #require(steps.firstIndex { $0.name == "preadv" })
        #expect(load < guards && guards < lock)
        // The kernel says that it cannot fill the guards; the memory is locked all the same.
        #expect(steps[lock].check == .none && steps[guards].check == .noError)
    }

    /// What the kernel shows as one mapping may have been asked for in parts; all at once could be too much.
    @Test func largeMappingsAreAskedForInParts() throws {
        let steps = try steps { sample in
            var large = ImageMapping()
            (large.start, large.end, large.protection) = (0x1_0000_0000, 0x1_a000_0000, 3)
            var reserved = large
            (reserved.start, reserved.end) = (0x2_0000_0000, 0x3_0000_0000)
            reserved.flags = 1 << UInt64(ImageMappingFlag.noReserve.rawValue)
            sample.records.addressSpaces[0].mappings.insert(contentsOf: [large, reserved], at: 2)
        }
        let parts = steps.filter { $0.name == "mmap" && $0.arguments[2] == .value(3) }
        let asked = parts.map { Array($0.arguments.prefix(2)) }
        #expect(asked.contains([.value(0x1_0000_0000), .value(0x4000_0000)]))
        #expect(asked.contains([.value(0x1_4000_0000), .value(0x4000_0000)]))
        #expect(asked.contains([.value(0x1_8000_0000), .value(0x2000_0000)]))
        #expect(asked.contains([.value(0x2_0000_0000), .value(0x1_0000_0000)]))
    }

    @Test func lockedOnFault() throws {
        let steps = try steps { sample in
            let flags = [ImageMappingFlag.locked, .lockOnFault].map { UInt64(1) << UInt64($0.rawValue) }
            sample.records.addressSpaces[0].mappings[1].flags = flags[0] | flags[1]
        }
        #expect(steps[try place(steps, "mlock2", [.value(0x50_0000), .value(0x4000), .value(1)])].check == .noError)
    }

    /// What forbids changes comes when nothing is changed any more.
    @Test func attributesComeLast() throws {
        let steps = try steps { sample in
            sample.facts.ownMemory.coreFilter = 0x33
            sample.records.addressSpaces[0].mappings[1].flags = 1 << UInt64(ImageMappingFlag.sealed.rawValue)
            sample.records.addressSpaces[0].locksToCome = 6
            sample.records.addressSpaces[0].writeExecute = 1
            sample.records.addressSpaces[0].hugePagesDisabled = 3
            sample.records.addressSpaces[0].mergesPages = true
            sample.records.addressSpaces[0].coreFilter = 0x7f
        }
        let huge = try place(steps, "prctl", [.value(Prctl.PR_SET_THP_DISABLE), .value(1), .value(2)])
        let first = try #require(steps.firstIndex { $0.name == "mmap" })
        #expect(huge < first)
        let last = try #require(steps.lastIndex { ["mmap", "mprotect", "madvise", "preadv"].contains($0.name) })
        let later = [
            try place(steps, "prctl", [.value(Prctl.PR_SET_MEMORY_MERGE), .value(1)]),
            try #require(steps.firstIndex { $0.note == "coredump_filter" }),
            try place(steps, "mlockall", [.value(6)]),
            try place(steps, "prctl", [.value(Prctl.PR_SET_MDWE), .value(1)]),
            try place(steps, "mseal", [.value(0x50_0000), .value(0x4000), .value(0)]),
        ]
        #expect(later == later.sorted() && last < later[0])
    }

    @Test func usualMemoryNeedsNoFurtherSteps() throws {
        let steps = try steps { $0.records.addressSpaces[0].coreFilter = 0x33 }
        for name in ["mlockall", "mseal", "mlock2"] { #expect(!steps.contains { $0.name == name }) }
        #expect(!steps.contains { $0.note == "coredump_filter" || $0.note.hasPrefix("PR_SET_T") || $0.note == "PR_SET_MDWE" })
    }

    /// The root begins with the limits of crrestart; all others inherit from it.
    @Test func limitsOfTheToolDoNotMatter() throws {
        let steps = try steps { $0.facts.hardLimits = (0..<16).map { UInt64($0) << 20 } }
        let first = try #require(steps.firstIndex { $0.name == "mmap" })
        let raised = steps.prefix(first).filter { $0.name == "prlimit64" }.map { $0.arguments[1] }
        #expect(raised == [.number(2), .number(8), .number(9)])
    }

    @Test func oldKernels() throws {
        var sample = Sample()
        sample.facts.ownMemory.knowsGuards = false
        sample.facts.ownMemory.knowsSeals = false
        sample.facts.ownMemory.mostMappings = 18
        sample.records.addressSpaces[0].guardPage = [0x501]
        sample.records.addressSpaces[0].guardLength = [1]
        sample.records.addressSpaces[0].mappings[1].flags = 1 << UInt64(ImageMappingFlag.sealed.rawValue)
        let found = try sample.findings().joined(separator: "\n")
        #expect(found.contains("guard pages") && found.contains("sealed memory"))
        #expect(found.contains("18 that this kernel allows"))
    }

    @Test func wordsOfMutexes() throws {
        var sample = Sample()
        var word = ImageRobustWord()
        word.address = 0x50_0010
        word.value = 0x8000_0065
        sample.records.addressSpaces[1].robustWords = [word]
        let mutexes = RestorePlan(for: try sample.valid()).heldMutexes
        #expect(mutexes == [HeldMutex(program: 1, address: 0x50_0010, value: 0x8000_0065)])
        #expect(mutexes[0].abandoned == 0xc000_0000)
    }

    /// A ring whose head stands at 40 of 127, with 100 events behind it that were not read.
    @Test func ringOfAsynchronousInput() throws {
        var sample = Sample()
        var mapping = ImageMapping()
        (mapping.start, mapping.end, mapping.protection) = (0x60_0000, 0x60_1000, 3)
        (mapping.shared, mapping.kind) = (true, .asynchronousRing)
        var ring = ImageAsynchronousRing()
        (ring.address, ring.requests, ring.head, ring.tail) = (0x60_0000, 5, 100, 10)
        ring.unread = [UInt8](repeating: 7, count: 37 * 32).asData
        let place = sample.records.addressSpaces[1].mappings.firstIndex { $0.start > mapping.start }
        sample.records.addressSpaces[1].mappings.insert(mapping, at: place ?? sample.records.addressSpaces[1].mappings.count)
        sample.records.addressSpaces[1].rings = [ring]
        let names = RestorePlan(for: try sample.valid()).launchpad.programs[1].steps.map(\.name)
        let submit = ["io_submit", "io_getevents"]
        #expect(
            names.filter { $0.hasPrefix("io_") || $0 == "process_vm_writev" } == ["io_setup"] + submit + submit + submit + submit + ["io_submit", "io_submit"]
                + ["process_vm_writev"])
    }

    /// The first writer of a memfd is the descriptor that made it; a mapping that can never be written has one of its own.
    @Test func memfds() throws {
        var sample = Sample()
        var object = ImageMemoryObject()
        object.id = 1
        object.name = [UInt8]("/memfd:one".utf8).asData
        object.size = 4096
        sample.records.memoryObjects = [object]
        for id in UInt32(1)...2 {
            var file = ImageOpenFile()
            file.id = id
            file.flags = OpenFlag.O_RDWR | OpenFlag.O_APPEND
            file.offset = Int64(id)
            var state = ImageNamelessFile()
            state.object = 1
            file.object = .nameless(state)
            sample.records.openFiles.append(file)
            var descriptor = ImageDescriptor()
            (descriptor.number, descriptor.file) = (10 + id, id)
            sample.records.fileTables[0].descriptors.append(descriptor)
        }
        var mapping = ImageMapping()
        (mapping.start, mapping.end, mapping.protection) = (0x60_0000, 0x60_1000, 1)
        (mapping.kind, mapping.object, mapping.shared) = (.object, 1, true)
        sample.records.addressSpaces[0].mappings.insert(mapping, at: 2)
        let plan = RestorePlan(for: try sample.valid())
        let steps = plan.launchpad.programs[0].steps
        let prepared = Step.Argument.number(plan.high.object(0))
        #expect(steps.count { $0.name == "dup3" && $0.arguments[0] == prepared } == 1)
        let flags = try #require(steps.first { $0.name == "fcntl" })
        #expect(flags.arguments[1] == .value(Fcntl.F_SETFL) && flags.arguments[2] == .number(OpenFlag.O_APPEND))
        let again = steps.filter { $0.note == "/proc/self/fd/\(plan.high.object(0))" }
        #expect(again.count == 2, "one for the second open file, one for the mapping")
    }

    /// A file of O_TMPFILE is made anew behind the mounts of a new namespace, and the plan says so.
    @Test(arguments: [true, false]) func temporaryFiles(newNamespace: Bool) throws {
        var sample = Sample()
        var object = ImageMemoryObject()
        (object.id, object.size, object.unlinkedFile) = (1, 4096, true)
        object.name = [UInt8]("/tmp/#12 (deleted)".utf8).asData
        sample.records.memoryObjects = [object]
        var file = ImageOpenFile()
        (file.id, file.flags) = (1, OpenFlag.O_RDWR | OpenFlag.O_TMPFILE)
        var state = ImageNamelessFile()
        state.object = 1
        file.object = .nameless(state)
        sample.records.openFiles.append(file)
        var descriptor = ImageDescriptor()
        (descriptor.number, descriptor.file) = (11, 1)
        sample.records.fileTables[0].descriptors.append(descriptor)
        sample.options.newPidNamespace = newNamespace
        let plan = RestorePlan(for: try sample.valid())
        #expect(plan.temporaryFiles == (newNamespace ? [0] : []))
        #expect(plan.lines().contains("file  /tmp/#12 (deleted) is made anew in the mount namespace of the tree") == newNamespace)
    }
}
