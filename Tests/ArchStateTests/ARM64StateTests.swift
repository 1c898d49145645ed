import ArchState
import Testing

/// A state with a record of every aarch64 feature.
enum SampleARM64 {
    static let zRegisters = pattern(32 * 32)

    static let state: ARM64State = {
        var general = ARM64State.General()
        general.x = (0..<31).map { 0x100 + UInt64($0) }
        general.sp = 0x7fff_1230
        general.pc = 0x40_0004
        general.pstate = 0x6000_1000
        general.originalX0 = 0x99
        general.call = 101
        let sve = ARM64State.SVE(vectorLength: 32, registers: zRegisters + pattern(17 * 4, from: 9))
        var vector = ARM64State.Vector()
        vector.status = 0x10
        vector.control = 0x100_0000
        vector.registers = sve.lowVectors
        return ARM64State(
            general: general, vector: vector, sve: sve,
            threadPointer: ARM64State.ThreadPointer(first: 0x7f00_0000, second: 5),
            debug: ARM64State.Debug(
                breakpoints: [.init(address: 0x1000, control: 0x1e5)],
                watchpoints: [.init(address: 0x2001, control: 0x3d)]))
    }()

    static let records = state.records

    /// Without SVE, so that FP/SIMD has a register set of its own.
    static let plain: ARM64State = {
        var plain = state
        plain.sve = nil
        return plain
    }()
}

@Suite struct ARM64RecordTests {
    let state = SampleARM64.state
    let records = SampleARM64.records

    @Test func recordsHaveTheirLayout() throws {
        #expect(records.map(\.feature) == [32, 33, 34, 35, 36])
        #expect(
            records[0].body == [1, 0, 0, 0]
                + (0..<31).flatMap { little(0x100 + UInt64($0)) }  // x0 ... x30
                + little(UInt64(0x7fff_1230)) + little(UInt64(0x40_0004)) + little(UInt64(0x6000_1000))  // sp pc pstate
                + little(UInt64(0x99)) + little(Int32(101)) + [0, 0, 0, 0])  // orig_x0, call
        let vectors: [UInt8] = (0..<32).flatMap { SampleARM64.zRegisters[$0 * 32..<$0 * 32 + 16] }
        #expect(records[1].body == [1, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 1] + vectors)  // FPSR FPCR V0 ... V31
        #expect(
            records[2].body == [1, 0, 0, 0, 32, 0, 0, 0] + SampleARM64.zRegisters + pattern(68, from: 9))  // VL, Z P FFR
        #expect(records[3].body == [1, 0, 0, 0] + little(UInt64(0x7f00_0000)) + little(UInt64(5)))  // TPIDR, TPIDR2
        #expect(
            records[4].body == [1, 0, 0, 0, 1, 0, 1, 0]  // one breakpoint, one watchpoint
                + little(UInt64(0x1000)) + little(UInt32(0x1e5)) + little(UInt64(0x2001)) + little(UInt32(0x3d)))
        #expect(try ARM64State(records: records) == state)
        #expect(try AnyCPUState(records: records) == .arm64(state))
        #expect(try state.validated().features.features.map(\.rawValue) == Array(32...36))
    }

    @Test func shapes() { shapesAreChecked(records) }

    @Test func missingRecord() {
        expectRule(.missingRecord) { try AnyCPUState(records: Array(records.dropFirst())) }
    }

    @Test func privilegedFlags() {
        // EL, AArch32, DAIF, IL, SS, PAN, UAO, beyond 32
        for bit in [0, 2, 3, 4, 6, 7, 8, 9, 20, 21, 22, 23, 32, 63] as [UInt64] {
            refused(.privilegedFlags, .armGeneral, records, 268, little(UInt64(1) << bit))
        }
    }

    @Test func userFlagsAreAccepted() throws {
        // N Z C V, TCO DIT, SSBS, BTYPE
        for bit in [31, 30, 29, 28, 25, 24, 12, 11, 10] as [UInt64] {
            var state = state
            state.general.pstate = 1 << bit
            #expect(try ARM64State(records: state.records) == state)
        }
    }

    @Test func instructionPointer() {
        refused(.instructionPointer, .armGeneral, records, 260, little(UInt64(1) << 48))
        refused(.instructionPointer, .armGeneral, records, 260, little(UInt64.max & ~3))
        refused(.instructionPointer, .armGeneral, records, 260, little(UInt64(0x40_0002)))
    }

    @Test func reservedBits() { refused(.reservedBits, .armGeneral, records, 288, [1]) }

    @Test func controlRegister() {
        refused(.controlRegister, .armVector, records, 4, little(UInt32(0x100)))  // FPSR
        refused(.controlRegister, .armVector, records, 8, little(UInt32(0x8000_0000)))  // FPCR
    }

    @Test func vectorLength() {
        for length: UInt32 in [0, 8, 17, 272, .max] { refused(.vectorLength, .sve, records, 4, little(length)) }
        refused(.recordSize, .sve, records, 4, little(UInt32(16)))
    }

    @Test func contradiction() {
        refused(.contradiction, .sve, records, 8, [0xff])
        refused(.contradiction, .sve, records, 8 + 31 * 32 + 15, [0xff])
        // The upper half of Z0 is its own.
        var records = records
        records[2].body[8 + 16] ^= 1
        #expect(throws: Never.self) { try ARM64State(records: records) }
    }

    @Test func notInUse() {
        refused(.notInUse, .armThreadPointer, records, 4, Array(repeating: 0, count: 16))
        refused(.notInUse, .armDebug, records, 8, Array(repeating: 0, count: 12))  // the last breakpoint
        var state = SampleARM64.plain
        state.vector = ARM64State.Vector()
        expectRule(.notInUse, .armVector) { try ARM64State(records: state.records) }
        state.vector = nil
        state.debug = ARM64State.Debug(breakpoints: [], watchpoints: [])
        expectRule(.notInUse, .armDebug) { try ARM64State(records: state.records) }
    }

    @Test func debugControl() {
        // Breakpoint: privilege 1 and 3, bit 13, a watchpoint's kind, two bytes
        for control: UInt32 in [0x1e3, 0x1e7, 0x2000, 0x1ed, 0x65] {
            refused(.debugControl, .armDebug, records, 16, little(control))
        }
        // Watchpoint: execution, no bytes, a gap between the bytes
        for control: UInt32 in [0x25, 0x1d, 0xbd] { refused(.debugControl, .armDebug, records, 28, little(control)) }
        for control: UInt32 in [0x3d, 0x1ff5, 0x1e0d, 0] {
            var state = state
            state.debug?.watchpoints[0].control = control
            #expect(throws: Never.self) { try state.validated() }
        }
    }

    @Test func manyBreakpoints() {
        let slot = ARM64State.Debug.Slot(address: 4, control: 0)
        let state = ARM64State(
            general: state.general,
            debug: ARM64State.Debug(breakpoints: Array(repeating: slot, count: 17), watchpoints: []))
        expectRule(.debugControl, .armDebug) { try state.validated() }
        expectRule(.debugControl, .armDebug) { try ARM64State(records: state.records) }
    }

    @Test func debugAddress() {
        refused(.debugAddress, .armDebug, records, 8, little(UInt64.max))
        refused(.debugAddress, .armDebug, records, 8, little(UInt64(0x1002)))
        refused(.debugAddress, .armDebug, records, 20, little(UInt64(1) << 48))
    }

    @Test func damage() throws { try damageIsRefusedOrValid(records, seed: 11) }
}

@Suite struct ARM64RegisterSetTests {
    /// Byte by byte, as `struct user_pt_regs` and its siblings lie in memory.
    @Test func setsHaveTheirLayout() throws {
        let sets = SampleARM64.plain.registerSets
        #expect(sets.map(\.set) == [.general, .vector, .threadPointer, .breakpoints, .watchpoints, .systemCall])
        #expect(
            sets[0].bytes == (0..<31).flatMap { little(0x100 + UInt64($0)) }  // x0 ... x30
                + little(UInt64(0x7fff_1230)) + little(UInt64(0x40_0004)) + little(UInt64(0x6000_1000)))  // sp pc pstate
        #expect(
            sets[1].bytes == SampleARM64.plain.vector!.registers  // V0 ... V31
                + little(UInt32(0x10)) + little(UInt32(0x100_0000))  // FPSR FPCR
                + [0, 0, 0, 0, 0, 0, 0, 0])  // reserved
        #expect(sets[2].bytes == little(UInt64(0x7f00_0000)) + little(UInt64(5)))  // TPIDR_EL0 TPIDR2_EL0
        #expect(
            sets[3].bytes == [0, 0, 0, 0, 0, 0, 0, 0]  // dbg_info, pad
                + little(UInt64(0x1000)) + little(UInt32(0x1e5)) + [0, 0, 0, 0])  // addr ctrl pad
        #expect(
            sets[4].bytes == [0, 0, 0, 0, 0, 0, 0, 0]
                + little(UInt64(0x2001)) + little(UInt32(0x3d)) + [0, 0, 0, 0])
        #expect(sets[5].bytes == [101, 0, 0, 0])
    }

    @Test func scalableVectorsHaveTheirLayout() throws {
        let sets = SampleARM64.state.registerSets
        #expect(sets.map(\.set) == [.general, .sve, .threadPointer, .breakpoints, .watchpoints, .systemCall])
        // VL 32: Z at 16, P at 16 + 1024, FFR at 1104, FPSR at 1108 -> 1120, size 1136
        let bytes = sets[1].bytes
        #expect(bytes.count == 1136)
        #expect(
            Array(bytes[0..<16]) == little(UInt32(1136)) + little(UInt32(1136))  // size max_size
                + little(UInt16(32)) + little(UInt16(32)) + [1, 0, 0, 0])  // vl max_vl flags reserved
        #expect(Array(bytes[16..<1040]) == SampleARM64.zRegisters)
        #expect(Array(bytes[1040..<1108]) == pattern(68, from: 9))  // P0 ... P15 FFR
        #expect(Array(bytes[1108..<1120]) == Array(repeating: 0, count: 12))
        #expect(Array(bytes[1120..<1136]) == little(UInt32(0x10)) + little(UInt32(0x100_0000)) + Array(repeating: 0, count: 8))
    }

    @Test(arguments: [(16, 592), (32, 1136), (64, 2224), (256, 8768)])
    func sizesOfScalableVectors(_ length: Int, _ size: Int) {
        // SVE_PT_SIZE(vq, SVE_PT_REGS_SVE) of asm/ptrace.h
        #expect(ARM64State.SVE.registerSetSize(vectorLength: length) == size)
    }

    /// What the kernel gives comes back: hardware slots all sixteen, greatest sizes of the processor.
    private func asTheKernelGives(_ state: ARM64State) -> [ARM64RegisterSet: [UInt8]] {
        var sets: [ARM64RegisterSet: [UInt8]] = [:]
        for (set, bytes) in state.registerSets { sets[set] = bytes }
        for set in [ARM64RegisterSet.breakpoints, .watchpoints] {
            var bytes = sets[set] ?? Array(repeating: 0, count: 8)
            bytes += Array(repeating: 0, count: 264 - bytes.count)
            bytes.replaceSubrange(0..<2, with: [6, 10])
            sets[set] = bytes
        }
        return sets
    }

    @Test func setsComeBack() throws {
        for var state in [SampleARM64.state, SampleARM64.plain] {
            // The kernel does not show orig_x0.
            state.general.originalX0 = state.general.x[0]
            #expect(try ARM64State(registerSets: asTheKernelGives(state)) == state)
        }
    }

    @Test func initialStateMakesNoRecord() throws {
        let state = ARM64State(general: SampleARM64.state.general)
        var sets = asTheKernelGives(state)
        sets[.threadPointer] = Array(repeating: 0, count: 16)
        #expect(try ARM64State(registerSets: sets).features == CPUFeatureSet([.armGeneral]))
    }

    @Test func inactiveScalableVectorsAreFloatingPoint() throws {
        var sets = asTheKernelGives(SampleARM64.plain)
        let vector = sets[.vector]!
        sets[.sve] = little(UInt32(544)) + little(UInt32(1136)) + [32, 0, 64, 0, 0, 0, 0, 0] + vector
        sets[.vector] = nil
        let state = try ARM64State(registerSets: sets)
        #expect(state.sve == nil)
        #expect(state.vector == SampleARM64.plain.vector)
    }

    @Test func oneThreadPointerIsEnough() throws {
        var sets = asTheKernelGives(SampleARM64.plain)
        sets[.threadPointer] = little(UInt64(7))
        let state = try ARM64State(registerSets: sets)
        #expect(state.threadPointer == ARM64State.ThreadPointer(first: 7))
        #expect(state.threadPointer?.registerSet == little(UInt64(7)))
    }

    @Test func setsOfAnotherSizeAreRefused() {
        let good = asTheKernelGives(SampleARM64.plain)
        for (set, bytes) in good {
            for wrong in [Array(bytes.dropLast()), bytes + [0]] {
                var sets = good
                sets[set] = wrong
                expectRule(.registerSetSize) { try ARM64State(registerSets: sets) }
            }
        }
        expectRule(.missingRecord, .armGeneral) { try ARM64State(registerSets: [:]) }
    }

    @Test func damagedHeadersAreRefused() {
        let good = asTheKernelGives(SampleARM64.state)
        func sve(_ rule: ArchStateError.Rule, _ offset: Int, _ bytes: [UInt8]) {
            var sets = good
            sets[.sve]!.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            expectRule(rule, .sve) { try ARM64State(registerSets: sets) }
        }
        sve(.registerSetHeader, 0, little(UInt32(1137)))  // beyond what is there
        sve(.registerSetHeader, 12, [9])  // unknown flag
        sve(.registerSetHeader, 14, [1])
        sve(.registerSetSize, 0, little(UInt32(1120)))
        sve(.registerSetSize, 8, [16])  // the size is that of another length
        sve(.vectorLength, 8, [17])
        var sets = good
        sets[.sve] = Array(repeating: 0, count: 15)
        expectRule(.registerSetSize, .sve) { try ARM64State(registerSets: sets) }
        sets = good
        sets[.breakpoints]![4] = 1
        expectRule(.registerSetHeader, .armDebug) { try ARM64State(registerSets: sets) }
    }

    @Test func randomSetsNeverTrap() {
        var random = SeededGenerator(seed: 21)
        for _ in 0..<500 {
            var sets: [ARM64RegisterSet: [UInt8]] = [.general: random.bytes(272)]
            for set in ARM64RegisterSet.allCases where random.chance(2) {
                sets[set] = random.bytes(Int.random(in: 0..<1200, using: &random))
            }
            if random.chance(2) {
                sets[.sve] = little(UInt32(1136)) + little(UInt32(0)) + [32, 0, 0, 0, UInt8(random.next() & 1), 0, 0, 0]
                    + random.bytes(Int.random(in: 1100..<1200, using: &random))
            }
            _ = try? ARM64State(registerSets: sets).validated()
        }
    }
}

@Suite struct ARM64InterruptedCallTests {
    private func general(x0: Int64, call: Int32 = 101) -> ARM64State.General {
        var general = SampleARM64.state.general
        general.x[0] = UInt64(bitPattern: x0)
        general.x[8] = 101
        general.call = call
        return general
    }

    @Test(arguments: [
        (-512, InterruptedCall.restartSys, 101), (-513, .restartNoIntr, 101), (-514, .restartNoHand, 101),
        (-516, .restartBlock, 128),
    ])
    func registersLeadHomeFromACallsExit(_ result: Int64, _ class: InterruptedCall, _ number: UInt64) {
        let general = general(x0: result)
        #expect(general.interruptedCall == `class`)
        let home = general.registersLeadingHome()
        #expect(home.x[0] == 0x99)
        #expect(home.x[8] == number)
        #expect(home.pc == 0x40_0000)
        #expect(home.call == -1)
        // Led home once, they are home.
        #expect(home.registersLeadingHome() == home)
    }

    @Test(arguments: [-4, 0, 5, -515, -11]) func otherResultsStay(_ result: Int64) {
        let general = general(x0: result)
        #expect(general.registersLeadingHome() == general)
    }

    @Test func nothingIsDoneOutsideOfACall() {
        for result: Int64 in [-512, -516] {
            let general = general(x0: result, call: -1)
            #expect(general.interruptedCall == .none)
            #expect(general.registersLeadingHome() == general)
        }
    }

    /// After a signal stop the kernel has gone back already; only the restart block is not to be seen.
    @Test func registersLeadHomeFromASignalStop() {
        let general = general(x0: 0x99, call: -1)
        #expect(general.isOnCall(instruction: 0xd400_0001))
        #expect(!general.isOnCall(instruction: 0xd400_0021))  // svc #1
        #expect(general.mayHaveRestartBlock)
        #expect(general.registersLeadingHome() == general)
        let home = general.registersLeadingHome(hasRestartBlock: true)
        #expect(home.x[8] == 128)
        #expect(home.x[0] == 0x99)
        #expect(home.pc == general.pc)
    }

    @Test func callsWithARestartBlock() {
        for name in ["nanosleep", "clock_nanosleep", "futex", "restart_syscall"] {
            var general = general(x0: 0)
            general.x[8] = UInt64(SystemCallNumbers.ARM64.number(of: name)!)
            #expect(general.mayHaveRestartBlock, "\(name)")
            general.x[8] = UInt64(SystemCallNumbers.ARM64.number(of: "ppoll")!)
            #expect(!general.mayHaveRestartBlock)
        }
    }

    @Test func interruptedWaitIsMended() {
        for name in [
            "epoll_pwait", "epoll_pwait2", "rt_sigtimedwait", "semop", "semtimedop", "io_getevents", "io_pgetevents",
            "io_uring_enter",
        ] {
            var general = general(x0: -4, call: -1)
            general.x[8] = UInt64(SystemCallNumbers.ARM64.number(of: name)!)
            let mended = general.mended(firstArgument: 7, instructionBefore: 0xd400_0001)
            #expect(mended.x[0] == 7, "\(name)")
            #expect(mended.pc == general.pc - 4)
            // The program was not at a call, or the call has another result.
            #expect(general.mended(firstArgument: 7, instructionBefore: 0xd503_201f) == general)
            general.x[0] = 0
            #expect(general.mended(firstArgument: 7, instructionBefore: 0xd400_0001) == general)
        }
    }

    @Test func interruptedSocketCallIsMendedIfTimed() {
        for name in [
            "accept", "accept4", "connect", "read", "readv", "recvfrom", "recvmsg", "recvmmsg", "write", "writev",
            "sendto", "sendmsg", "sendmmsg",
        ] {
            var general = general(x0: -4, call: -1)
            general.x[8] = UInt64(SystemCallNumbers.ARM64.number(of: name)!)
            let call = ARM64State.General.callInstruction
            #expect(general.mended(firstArgument: 7, instructionBefore: call) == general)
            #expect(general.mended(firstArgument: 7, instructionBefore: call, onTimedSocket: true).x[0] == 7, "\(name)")
        }
    }

    @Test func callsHaveNames() {
        let calls = [(0, "io_setup"), (64, "write"), (79, "newfstatat"), (115, "clock_nanosleep"), (128, "restart_syscall"),
            (222, "mmap"), (293, "rseq"), (424, "pidfd_send_signal"), (435, "clone3")]
        for (number, name) in calls {
            #expect(SystemCallNumbers.ARM64.name(number) == name)
            #expect(SystemCallNumbers.ARM64.number(of: name) == number)
        }
        for name in ["open", "fork", "poll", "arch_prctl", "epoll_wait", ""] {
            #expect(SystemCallNumbers.ARM64.number(of: name) == nil, "\(name)")
        }
        for number in [-1, 244, 259, 300, 423] { #expect(SystemCallNumbers.ARM64.name(number) == nil) }
        #expect(SystemCallNumbers.ARM64.label(250) == "syscall 250")
    }

    @Test(arguments: [
        (0x1000, 0x1000, 0x1400_0000), (0x1000, 0x1004, 0x1400_0001), (0x1000, 0xffc, 0x17ff_ffff),
        (0, 0x7ff_fffc, 0x15ff_ffff), (0x800_0000, 0, 0x1600_0000),
    ] as [(UInt64, UInt64, UInt32)])
    func branches(_ from: UInt64, _ to: UInt64, _ instruction: UInt32) {
        #expect(ARM64State.branch(from: from, to: to) == instruction)
    }

    @Test func branchesHaveARange() {
        #expect(ARM64State.branch(from: 0, to: 0x800_0000) == nil)
        #expect(ARM64State.branch(from: 0x800_0004, to: 0) == nil)
        #expect(ARM64State.branch(from: 0, to: 2) == nil)
        #expect(ARM64State.branch(from: 0xffff_0000_0000, to: 0x40_0000) == nil)
    }
}
