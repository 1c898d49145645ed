import CheckpointImage
import Foundation
import LinuxABI
import Testing

@testable import RestorePlan

/// Filters of system calls: by which calls they are put back, and where that is impossible.
@Suite struct CallConfinementPlanTests {
    /// `struct sock_filter`s: code, jumps, constant.
    private static func program(_ lines: [(UInt16, UInt8, UInt8, UInt32)]) -> Data {
        Data(lines.flatMap { line in
            [UInt8(line.0 & 0xff), UInt8(line.0 >> 8), line.1, line.2] + (0..<4).map { UInt8(truncatingIfNeeded: line.3 >> ($0 * 8)) }
        })
    }

    private static let allowing = program([(6, 0, 0, 0x7fff_0000)])
    /// Denies calls by number.
    private static func denying(_ numbers: UInt32...) -> Data {
        program(
            [(0x20, 0, 0, 0)] + numbers.enumerated().map { (0x15, UInt8(numbers.count - $0.offset), 0, $0.element) }
                + [(6, 0, 0, 0x7fff_0000), (6, 0, 0, 0x5_0001)])
    }

    private func sample(_ programs: [Data], logs: Bool = false, noNewPrivileges: Bool = true) -> Sample {
        var sample = Sample()
        for (index, program) in programs.enumerated() {
            var filter = ImageCallFilter()
            filter.id = UInt32(index + 1)
            filter.program = program
            filter.logs = logs
            sample.records.callFilters.append(filter)
            sample.records.threads[0].callFilters.append(filter.id)
        }
        sample.records.threads[0].noNewPrivileges = noNewPrivileges
        sample.facts.ownCredentials.effective = 0
        sample.facts.ownCredentials.permitted = 0
        sample.records.addressSpaces[0].mappings[1].protection = 3
        return sample
    }

    private func calls(_ sample: Sample) throws -> [CallConfinementPlan.Call] {
        let plan = RestorePlan(for: try sample.valid())
        #expect(plan.confinement(ofThread: 1) == nil)
        return try #require(plan.confinement(ofThread: 0)).calls
    }

    @Test func theOldestFirst() throws {
        let calls = try calls(sample([Self.denying(39), Self.allowing], logs: true))
        #expect(calls.map(\.number) == [317, 317])
        // SECCOMP_SET_MODE_FILTER with LOG and SPEC_ALLOW.
        #expect(calls[0].arguments == [1, 6, 0x50_0000])
        #expect(Array(calls[0].data[0..<16]) == [4, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0x50, 0, 0, 0, 0, 0])
        #expect(Data(calls[1].data[16...]) == Self.allowing)
        let lines = RestorePlan(for: try sample([Self.allowing]).valid()).lines()
        #expect(lines.contains { $0.contains("seccomp: filter of 1 instruction") })
    }

    @Test func asTheFiltersBeforeItAllow() throws {
        #expect(try calls(sample([Self.denying(317), Self.allowing])).map(\.number) == [317, 157])
        let forbidden = sample([Self.denying(317, 157), Self.allowing])
        #expect(try forbidden.findings().contains { $0.contains("of which number 2 cannot be put back") })
        // prctl(2) cannot ask for the log.
        #expect(try sample([Self.denying(317), Self.allowing], logs: true).findings().contains { $0.contains("cannot be put back") })
    }

    @Test func strictMode() throws {
        var sample = sample([Data()], noNewPrivileges: false)
        sample.records.callFilters[0].strict = true
        sample.records.addressSpaces[0].mappings[1].protection = 1
        #expect(try calls(sample).map(\.arguments) == [[22, 1, 0, 0, 0]])
        sample.facts.numbers.isUnderFilter = true
        #expect(try sample.findings().contains { $0.contains("strict mode of seccomp") })
    }

    /// As containers have it: the filter came before the privileges were given up.
    @Test func privilegeIsKeptUntilThen() throws {
        let admin = Capability.set(Capability.CAP_SYS_ADMIN)
        var sample = sample([Self.denying(39)], noNewPrivileges: false)
        #expect(try sample.findings().contains { $0.contains("no no_new_privs") })
        sample.facts.ownCredentials.effective = admin
        sample.facts.ownCredentials.permitted = admin
        let calls = try calls(sample)
        #expect(calls.map(\.number) == [317, 126] && calls[1].data.count == 40)
        #expect(calls[1].data[16...].allSatisfy { $0 == 0 })
        sample.records.callFilters[0].program = Self.denying(126)
        #expect(try sample.findings().contains { $0.contains("(capset)") })
        sample.records.threads[0].noNewPrivileges = true
        #expect(try self.calls(sample).map(\.number) == [317])
    }

    @Test func memoryForTheProgram() throws {
        var sample = sample([Self.allowing])
        sample.records.addressSpaces[0].mappings[1].protection = 1
        #expect(try sample.findings().contains { $0.contains("no 24 bytes of private memory that it may write") })
    }
}
