import ArchState
import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// The sample's second process as a 32-bit program.
private func compatSample() -> Sample {
    var sample = Sample()
    sample.records.header.vdso32.dataSize = 0x4000
    sample.records.header.vdso32.codeSize = 0x2000
    sample.facts.compatVdso = sample.records.header.vdso32
    sample.records.addressSpaces[1].is32Bit = true
    sample.records.addressSpaces[1].mappings[2].start = 0xf7f6_9000
    sample.records.addressSpaces[1].mappings[2].end = 0xf7f6_d000
    sample.records.addressSpaces[1].mappings[3].start = 0xf7f6_d000
    sample.records.addressSpaces[1].mappings[3].end = 0xf7f6_f000
    sample.act(1, on: 10, handler: 0x40_0800) { action in
        action.flags = 0x0400_0004
        action.restorer = 0x40_0900
        action.mask = 0x1_0000_0002
    }
    sample.records.threads[1].robustList = 0x50_0010
    sample.records.threads[1].robustListSize = 12
    return sample
}

@Suite struct CompatPlanTests {
    @Test func programOfTheOtherWordSizeGetsItsVdso() throws {
        let plan = RestorePlan(for: try compatSample().valid())
        let steps = plan.launchpad.programs[1].steps
        let map = try #require(steps.firstIndex { $0.name == "arch_prctl" })
        // What came from the 64-bit parent goes first, and nothing is loaded before.
        #expect(steps[..<map].contains { $0.name == "munmap" && $0.arguments[0] == .value(0x7fff_0000_0000) })
        #expect(steps[map].arguments == [0x2002, .value(0xf7f6_9000)])
        #expect(steps[map].check == .equals(0x2000))
        #expect(try #require(steps.firstIndex { $0.name == "mmap" }) > map)
        #expect(!plan.launchpad.programs[0].steps.contains { $0.name == "arch_prctl" })
    }

    @Test func actionsAndLocksAreSetAsItsOwnCalls() throws {
        let plan = RestorePlan(for: try compatSample().valid())
        let steps = plan.launchpad.programs[1].steps
        let action = try #require(steps.first { $0.name == "rt_sigaction/32" })
        guard case .value(let address) = action.arguments[1] else { return }
        let bytes = plan.launchpad.encoded()
        let start = Int(address - plan.launchpad.dataStart)
        let words = (0..<5).map { bytes.littleEndian32(at: start + $0 * 4) }
        #expect(words == [0x40_0800, 0x0400_0004, 0x40_0900, 2, 1])
        let locks = try #require(steps.first { $0.name == "set_robust_list/32" })
        #expect(locks.arguments == [.value(0x50_0010), 12])
    }

    @Test func whatIsNamedByNarrowCallsLiesBelow4GiB() throws {
        let sample = compatSample()
        let plan = RestorePlan(for: try sample.valid())
        #expect(plan.launchpad.base + plan.launchpad.size < 1 << 32)
        #expect(plan.valid.hole.scratch < 1 << 32)
        #expect(plan.hasRoom)
        for space in sample.records.addressSpaces {
            for mapping in space.mappings {
                #expect(mapping.end <= plan.valid.hole.base || mapping.start > plan.valid.hole.scratch)
            }
        }
    }

    /// Where the child's place overlaps its parent's, the parts go by way of the scratch room, which lies below.
    @Test func vdsoMovesOverItself() throws {
        var sample = compatSample()
        sample.records.addressSpaces[0] = sample.records.addressSpaces[1]
        sample.records.addressSpaces[0].id = 100
        sample.records.addressSpaces[0].mappings[2].start += 0x1000
        sample.records.addressSpaces[0].mappings[2].end += 0x1000
        sample.records.addressSpaces[0].mappings[3].start += 0x1000
        sample.records.addressSpaces[0].mappings[3].end += 0x1000
        let plan = RestorePlan(for: try sample.valid())
        let moves = plan.launchpad.programs[1].steps.filter { $0.name == "mremap" }
        let scratch = plan.valid.hole.scratch
        #expect(moves.map { $0.arguments[0] } == [.value(0xf7f6_a000), .value(0xf7f6_e000), .value(scratch), .value(scratch + 0x4000)])
        #expect(moves.map { $0.arguments[4] } == [.value(scratch), .value(scratch + 0x4000), .value(0xf7f6_9000), .value(0xf7f6_d000)])
    }

    @Test func noRoomBelow4GiB() throws {
        var sample = compatSample()
        // Every 16 MiB there is something.
        let shadow = stride(from: UInt64(0x100_0000), to: 0xffff_0000, by: 16 << 20).map { start in
            var mapping = ImageMapping()
            (mapping.start, mapping.end) = (start, start + 0x1000)
            return mapping
        }
        sample.records.addressSpaces[0].mappings.insert(contentsOf: shadow, at: 2)
        #expect(try sample.findings().contains { $0.hasPrefix("memory: there is no place below 4 GiB") })
    }

    @Test func kernelWithout32BitPrograms() throws {
        var sample = compatSample()
        sample.facts.compatVdso = nil
        #expect(try sample.findings().contains { $0.contains("32-bit programs, which this kernel does not run") })
    }

    @Test func anotherVdsoOf32BitPrograms() throws {
        var sample = compatSample()
        sample.facts.compatVdso?.checksum = 9
        #expect(try sample.findings().contains { $0.hasPrefix("vdso: this kernel gives 32-bit programs another") })
    }

    @Test func treeOf64BitProgramsNeedsNothingOfIt() throws {
        let plan = RestorePlan(for: try Sample().valid())
        #expect(plan.launchpad.base >= 1 << 32)
    }
}
