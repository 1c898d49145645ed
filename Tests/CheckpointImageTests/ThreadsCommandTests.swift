import ArchState
import CheckpointImage
import Foundation
import Testing

/// `crimage` on images of other processors, which no tool of this host could have written.
@Suite struct ThreadsCommandTests {
    /// The sample tree with the same processor state in every thread.
    private func image(_ architecture: String, _ records: [CPURecord]) throws -> [UInt8] {
        var sample = Sample.records()
        sample.header.architecture = architecture
        for index in sample.threads.indices {
            sample.threads[index].call = index == 0 ? 115 : -1
            if index == 0 { sample.threads[index].timeout.remaining = 1_500_000_000 }
            sample.threads[index].cpu = records.map {
                var record = ImageCpuRecord()
                record.feature = $0.feature
                record.body = Data($0.body)
                return record
            }
        }
        return try Sample.image(sample)
    }

    private static let arm64: ARM64State = {
        var general = ARM64State.General()
        general.x = (0..<31).map { 0x100 + UInt64($0) }
        general.sp = 0x7fff_1230
        general.pc = 0x40_0004
        general.pstate = 0x6000_1000
        general.originalX0 = 0x99
        general.call = 115
        var vector = ARM64State.Vector()
        vector.registers[16..<18] = [0xcd, 0xab]
        return ARM64State(
            general: general, vector: vector, threadPointer: .init(first: 0xffff_8000_1000),
            debug: .init(breakpoints: [.init(address: 0x1000, control: 0x1e5)], watchpoints: []))
    }()

    private static let powerpc: PowerPCState = {
        var general = PowerPCState.General(is64Bit: true)
        general.registers = (0..<32).map { 0x200 + UInt64($0) }
        general.nip = 0x1000_0004
        general.msr = 0x901
        general.trap = 0xc00
        var altivec = PowerPCState.Altivec()
        altivec.registers[0] = 0x12
        return PowerPCState(
            general: general, altivec: altivec, vsx: Array(repeating: 7, count: 32),
            debug: .init(breakpoints: [.init(trigger: 6, addressMode: 1, address: 0x2000, end: 0x2100)]))
    }()

    /// Runs a subcommand on the image as a file.
    private func run(_ arguments: [String], _ bytes: [UInt8]) throws -> CommandTests.Outcome {
        let url = try CommandTests.file(bytes)
        defer { try? FileManager.default.removeItem(at: url) }
        return try CommandTests.crimage(arguments + [url.path])
    }

    @Test func threadsOfAnARM64Image() throws {
        let bytes = try image("aarch64", Self.arm64.records)
        let expected = """
            tid  process  name  was                              features in use
             10  10 sh    sh    in clock_nanosleep, 1.50 s left  aarch64 general registers, aarch64 FP/SIMD, aarch64 TLS registers, aarch64 debug registers
             11  10 sh    sh    running                          aarch64 general registers, aarch64 FP/SIMD, aarch64 TLS registers, aarch64 debug registers
             12  12 sh    sh    running                          aarch64 general registers, aarch64 FP/SIMD, aarch64 TLS registers, aarch64 debug registers

            """
        #expect(try CommandTests().run("threads", bytes) == CommandTests.Outcome(status: 0, output: expected, errors: ""))
    }

    @Test func registersOfAnARM64Image() throws {
        let output = try run(["threads", "--registers"], try image("aarch64", Self.arm64.records)).output
        let thread = try #require(output.components(separatedBy: "\n 11 ").first)
        let expected = """
             10  10 sh    sh    in clock_nanosleep, 1.50 s left  aarch64 general registers, aarch64 FP/SIMD, aarch64 TLS registers, aarch64 debug registers
                aarch64 general registers
                    x0   0x100     x1       0x101  x2   0x102  x3   0x103
                    x4   0x104     x5       0x105  x6   0x106  x7   0x107
                    x8   0x108     x9       0x109  x10  0x10a  x11  0x10b
                    x12  0x10c     x13      0x10d  x14  0x10e  x15  0x10f
                    x16  0x110     x17      0x111  x18  0x112  x19  0x113
                    x20  0x114     x21      0x115  x22  0x116  x23  0x117
                    x24  0x118     x25      0x119  x26  0x11a  x27  0x11b
                    x28  0x11c     x29      0x11d  x30  0x11e  sp   0x7fff1230
                    pc   0x400004  orig_x0  0x99
                    pstate  0x60001000 Z C SSBS
                    call    115 clock_nanosleep
                aarch64 FP/SIMD
                    fpsr  0x0  fpcr  0x0
                    v1  0x0000000000000000000000000000abcd
                aarch64 TLS registers
                    tpidr_el0  0xffff80001000  tpidr2_el0  0x0
                aarch64 debug registers
                    break0  0x1000 execute, bytes 0xf
            """
        #expect(thread.split(separator: "\n").dropFirst().joined(separator: "\n") == expected)
    }

    @Test func registersOfAPowerPCImage() throws {
        let bytes = try image("ppc64le", Self.powerpc.records)
        let output = try run(["threads", "--registers"], bytes).output
        #expect(output.hasPrefix(
                """
                tid  process  name  was                              features in use
                 10  10 sh    sh    in system call 115, 1.50 s left  powerpc general registers, Altivec, VSX, powerpc debug registers

                """))
        for line in [
            "nip    0x10000004", "msr   0x901 FE0 FE1 LE", "width  64 bits", "vr0  0x12000000000000000000000000000000",
            "vsr31_low  0x7", "break0  0x2000 up to 0x2100 read or write",
        ] { #expect(output.contains(line), "\(line)\n\(output)") }
    }

    @Test func registersOfAnX86Image() throws {
        var general = X86GeneralRegisters()
        general.rip = 0x40_1000
        general.flags = 0x246
        general.originalRAX = 230
        general.fs = .tls(1)
        general.fsBase = 0x7000
        var extended = X86ExtendedState()
        extended.blocks[.avx512High] = [UInt8](repeating: 0, count: 1023) + [0x80]
        let state = CPUState(
            generalRegisters: general, extendedState: extended,
            debugRegisters: X86DebugRegisters(addresses: [0x1000, 0, 0, 0], control: 0xd0001),
            tlsDescriptors: X86TLSDescriptors([.init(base: 0x1000, limit: 0xfffff, flags: 0x51), .init(), .init()]))
        let output = try run(["threads", "--registers"], try image("x86_64", state.records)).output
        for line in [
            "rip  0x401000", "rflags  0x246 PF ZF IF", "230 clock_nanosleep", "64-bit user code", "TLS descriptor 1",
            "fs_base  0x7000", "zmm31  0x80", "0x1000 write, 4 bytes",
            "tls0  base 0x1000, limit 0xfffff pages, writable data",
        ] { #expect(output.contains(line), "\(line)\n\(output)") }
    }

    /// Every subcommand shows an image that this host could never run.
    @Test(arguments: ["aarch64", "ppc64le"]) func everySubcommandShowsIt(architecture: String) throws {
        let records = architecture == "aarch64" ? Self.arm64.records : Self.powerpc.records
        let bytes = try image(architecture, records)
        #expect(try run(["info"], bytes).output.contains("architecture    \(architecture)\n"))
        #expect(try run(["tree"], bytes).output.hasPrefix("10 sh -c true  (2 threads"))
        #expect(try run(["verify"], bytes).status == 0)
        let json = try run(["json"], bytes)
        let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
        let threads = try #require(object?["threads"] as? [[String: Any]])
        let cpu = try #require(threads[0]["cpu"] as? [[String: Any]])
        #expect(cpu.map { $0["feature"] as? Int } == records.map { Int($0.feature) })
        let activities = try #require(object?["activities"] as? [[String: Any]])
        #expect(activities.map { $0["tid"] as? Int } == [10, 11, 12])
        let call = architecture == "aarch64" ? "clock_nanosleep" : "system call 115"
        #expect(activities[0]["was"] as? String == "in \(call), 1.50 s left")
        #expect(activities[0]["call"] as? String == call)
        #expect(activities[0]["remaining_ns"] as? String == "1500000000")
        #expect(activities[1]["was"] as? String == "running")
        #expect(activities[1]["call"] is NSNull && activities[1]["remaining_ns"] is NSNull)
        #expect(cpu[0]["body"] as? String == Data(records[0].body).base64EncodedString())
    }

    /// What a rule refuses is said where its features would stand.
    @Test func refusedStateIsSaid() throws {
        let outcome = try run(["threads", "--registers"], try Sample.image())
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("10  10 sh    sh    in system call 0  cannot use CPU state: feature is not known to this version (feature number 0)\n"))
        var records = Self.arm64.records
        records[0].body[268] = 4
        let changed = try run(["threads"], try image("aarch64", records)).output
        #expect(changed.contains("aarch64 general registers: flags are set that a program cannot set"))
    }
}
