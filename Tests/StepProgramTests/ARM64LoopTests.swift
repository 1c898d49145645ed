import ArchState
import Foundation
import StepProgram
import Testing

/// The aarch64 step loop, assembled here and run under qemu-user.
@Suite struct ARM64LoopTests {
    static let launchpad = Launchpad(base: ARM64Emulator.base, slots: 4)

    @Test(
        .enabled(
            if: ARM64Emulator.missingForAssembly == nil, "needs clang, llvm-nm and llvm-objcopy (Swift toolchain)"))
    func assembles() throws {
        let emulator = try ARM64Emulator()
        for name in [
            "ckernel_steploop_start", "ckernel_steploop_end", "ckernel_stub_start", "ckernel_stub_end",
            "ckernel_stub_entry", "ckernel_stub_home", "ckernel_stub_branch", "ckernel_clone3_into_loop",
            "ckernel_clone_into_loop",
        ] { #expect(emulator.symbols[name] != nil, "\(name)") }
        // The loop has a page of the launchpad.
        #expect(emulator.symbols["ckernel_steploop_end"]! <= Launchpad.wordsOffset)
        // The words at the head of the stub, which the tool fills, are those of x86_64 but for the registers.
        let entry = try #require(emulator.symbols["ckernel_stub_entry"])
        #expect(entry - emulator.symbols["ckernel_stub_start"]! == 48 + 34 * 8)
        let branch = Int(emulator.symbols["ckernel_stub_branch"]!)
        #expect(emulator.code.littleEndian32(at: branch) == ARM64State.branch(from: 0, to: 4))
    }

    @Test func everyCallHasANumber() {
        // What only x86 has no program of another processor calls, and none can call number 0.
        let foreign: Set = ["arch_prctl", "modify_ldt", "io_setup"]
        for call in SystemCall.allCases where !foreign.contains(call.name) {
            let number = Int(call.number(on: .arm64))
            #expect(SystemCallNumbers.ARM64.name(number) == call.name, "\(call)")
            #expect(number > 0, "0 ends a program")
            #expect(SystemCallNumbers.name(Int(call.number(on: .x86_64))) == call.name, "\(call)")
        }
        #expect(SystemCall.mmap.number(on: .arm64) == 222)
        #expect(SystemCall.exit_group.number(on: .arm64) == 94)
        #expect(SystemCall.clone3.number(on: .arm64) == 435)
    }

    @Test(.enabled(if: ARM64Emulator.missing == nil, "needs qemu-aarch64 (Debian: qemu-user) and ld.lld"))
    func mapsWritesReadsAndEnds() throws {
        let emulator = try ARM64Emulator()
        var launchpad = Self.launchpad
        let memory: UInt64 = 0x3000_0000
        let path = launchpad.add(string: Array(emulator.path("out").utf8))
        let message = launchpad.add(Array("\u{5}\0\0\0\0\0\0\0hello".utf8))
        let vector = launchpad.add(words: [memory, 13])
        let six = launchpad.add(words: [memory + 0x10000, 4096, 3, 0x12, 0, 0])
        var program = Program(title: "arm64")
        program.call(.mmap, [.value(memory), 0x10000, 3, 0x32, .signed(-1), 0], check: .equals(Int64(memory)))
        let file = program.call(.openat, [.signed(-100), .value(path), 0o102, 0o600])
        program.call(.write, [.result(of: file), .value(message), 13], check: .equals(13))
        program.call(.lseek, [.result(of: file), 0, 0], check: .equals(0))
        program.call(.preadv, [.result(of: file), .value(vector), 1, 0, 0], check: .equals(13))
        // What was read says how much to write.
        program.call(.pwrite64, [.result(of: file), .value(memory + 8), .stored(at: memory), 20], check: .equals(5))
        // Every argument is a reference: the file itself, mapped and written once more.
        let stored = (0..<6).map { $0 == 4 ? .result(of: file) : Step.Argument.stored(at: six + UInt64($0) * 8) }
        program.call(.mmap, stored, check: .equals(Int64(memory + 0x10000)))
        program.call(.pwrite64, [.result(of: file), .value(memory + 0x10008), 5, 25], check: .equals(5))
        let failing = program.call(.close, [1000], check: .none)
        let word = launchpad.address(of: .go)
        program.advance(word, "")
        program.advance(word, "")
        program.wait(for: word, toReach: 2, "")
        program.call(.munmap, [.value(memory), 0x11000])
        program.call(.close, [.result(of: file)])
        program.end()
        launchpad.add(program)

        let run = try emulator.run(launchpad)
        #expect(run.status == 42)
        #expect(run.word(at: launchpad.slotAddress(0)) == launchpad.layout.addresses[0] + UInt64((program.steps.count - 1) * 80))
        #expect(run.word(at: launchpad.slotAddress(0) + 8) == 0)
        #expect(run.word(at: word) == 2)
        #expect(run.result(of: file, in: 0) >= 3)
        #expect(run.result(of: 0, in: 0) == Int64(memory))
        #expect(run.result(of: failing, in: 0) == -9)
        let written = try Data(contentsOf: URL(fileURLWithPath: emulator.path("out")))
        #expect(Array(written) == Array("\u{5}\0\0\0\0\0\0\0hello\0\0\0\0\0\0\0hellohello".utf8))
    }

    /// By its check, or as an error; the slot says which step and what came back.
    @Test(
        .enabled(if: ARM64Emulator.missing == nil, "needs qemu-aarch64 (Debian: qemu-user) and ld.lld"),
        arguments: [(Step.Check.noError, Int64(-9)), (.equals(-8), -9), (.equals(0), -9)])
    func failingStepEndsTheProcess(_ check: Step.Check, _ result: Int64) throws {
        let emulator = try ARM64Emulator()
        var launchpad = Self.launchpad
        var program = Program(title: "arm64")
        program.call(.getpid)
        program.call(.close, [1000], check: check)
        program.end()
        launchpad.add(program)
        let run = try emulator.run(launchpad)
        #expect(run.status == 99)
        let slot = launchpad.slotAddress(0)
        let place = try #require(launchpad.layout.locate(stepAt: run.word(at: slot)))
        #expect(place == (0, 1))
        #expect(run.word(at: slot + 8) == 1)
        #expect(Int64(bitPattern: run.word(at: slot + 16)) == result)
    }

    private func family(_ launchpad: inout Launchpad, _ call: SystemCall, arguments: [Step.Argument], path: UInt64, text: UInt64) {
        let pause = launchpad.add(words: [0, 100_000_000])
        let (ready, go) = (launchpad.address(of: .parked), launchpad.address(of: .go))
        var parent = Program(title: "parent")
        let child = parent.call(call, arguments + [.slot(2), .program(1)])
        parent.wait(for: ready, toReach: 1, "blocks: the child comes later")
        // What the word holds now comes back as the old mask.
        parent.call(.umask, [.stored(at: ready)], check: .none)
        parent.call(.umask, [0], check: .equals(1))
        parent.advance(go, "wakes the child")
        parent.call(.wait4, [.result(of: child), 0, 0, 0])
        parent.end()
        launchpad.add(parent)
        var offspring = Program(title: "child")
        offspring.call(.ppoll, [0, 0, .value(pause), 0, 0])
        offspring.advance(ready, "")
        offspring.wait(for: go, toReach: 1, "")
        let file = offspring.call(.openat, [.signed(-100), .value(path), 0o101, 0o600])
        offspring.call(.write, [.result(of: file), .value(text), 5], check: .equals(5))
        offspring.call(.exit_group, [3])
        launchpad.add(offspring)
    }

    private func expectFamily(_ run: ARM64Emulator.Run, _ emulator: ARM64Emulator) throws {
        #expect(run.status == 42)
        let child = run.result(of: 0, in: 0)
        #expect(child > 0)
        #expect(run.result(of: 5, in: 0) == child)
        #expect(run.launchpad.layout.locate(stepAt: run.word(at: run.launchpad.slotAddress(2)))! == (1, 5))
        #expect(try Data(contentsOf: URL(fileURLWithPath: emulator.path("child"))) == Data("child".utf8))
    }

    @Test(
        .enabled(if: ARM64Emulator.missing == nil, "needs qemu-aarch64 (Debian: qemu-user) and ld.lld"),
        .enabled(if: ARM64Emulator.hasClone3, "this qemu-user answers ENOSYS to clone3"))
    func clone3ChildGoesOnAtItsOwnProgram() throws {
        let emulator = try ARM64Emulator()
        var launchpad = Self.launchpad
        let arguments = launchpad.add(words: [0, 0, 0, 0, 17, 0, 0, 0])
        let path = launchpad.add(string: Array(emulator.path("child").utf8))
        let text = launchpad.add(string: Array("child".utf8))
        family(&launchpad, .clone3, arguments: [.value(arguments), 64, 0, 0], path: path, text: text)
        try expectFamily(try emulator.run(launchpad), emulator)
    }

    @Test(.enabled(if: ARM64Emulator.missing == nil, "needs qemu-aarch64 (Debian: qemu-user) and ld.lld"))
    func cloneChildGoesOnAtItsOwnProgram() throws {
        let emulator = try ARM64Emulator()
        var launchpad = Self.launchpad
        let path = launchpad.add(string: Array(emulator.path("child").utf8))
        let text = launchpad.add(string: Array("child".utf8))
        family(&launchpad, .clone, arguments: [17, 0, 0, 0], path: path, text: text)
        try expectFamily(try emulator.run(launchpad), emulator)
    }

    /// The stub alone, as after the death of its tool: memory without a program, then home.
    @Test(
        .enabled(if: ARM64Emulator.missing == nil, "needs qemu-aarch64 (Debian: qemu-user) and ld.lld"),
        arguments: [true, false])
    func stubFindsHome(near: Bool) throws {
        let emulator = try ARM64Emulator()
        let stub = Int(emulator.symbols["ckernel_stub_start"]!)
        var launchpad = Self.launchpad
        let saved = launchpad.add([UInt8](repeating: 0, count: 512))
        var bytes = [UInt8](repeating: 0, count: Int(launchpad.size))
        bytes.replaceSubrange(0..<emulator.code.count, with: emulator.code)
        func put(_ value: UInt64, _ offset: Int) {
            var word: [UInt8] = []
            word.append(littleEndian: value)
            bytes.replaceSubrange(stub + offset..<stub + offset + 8, with: word)
        }
        let mask: UInt64 = 1 << 9 | 1 << 11
        put(mask, 0)
        put(0x3000_0000, 16)
        put(0x10000, 24)
        let registers = (0..<31).map { UInt64(0x1111_0000_0000) + UInt64($0) }
        for (index, value) in registers.enumerated() { put(value, 48 + index * 8) }
        put(saved, 48 + 31 * 8)
        put(ARM64Emulator.home, 48 + 32 * 8)
        put(0x9000_0000, 48 + 33 * 8)
        if near {
            let branch = Int(emulator.symbols["ckernel_stub_branch"]!)
            let jump = try #require(
                ARM64State.branch(from: ARM64Emulator.base + UInt64(branch), to: ARM64Emulator.home))
            var word: [UInt8] = []
            word.append(littleEndian32: jump)
            bytes.replaceSubrange(branch..<branch + 4, with: word)
        }
        let pairs = stride(from: 0, to: 30, by: 2).map { "stp x\($0), x\($0 + 1), [sp, #\($0 * 8)]" }
        let (status, memory) = try emulator.enter(
            """
                ldr x9, =\(ARM64Emulator.base + emulator.symbols["ckernel_stub_entry"]!)
                br  x9
            """,
            home: (pairs + [
                "str x30, [sp, #240]", "mov x9, sp", "str x9, [sp, #248]", "mrs x9, nzcv", "str x9, [sp, #264]",
                // The mask, and whether working memory is gone.
                "mov x0, #0", "mov x1, #0", "add x2, sp, #272", "mov x3, #8", "mov x8, #135", "svc #0",
                "ldr x0, =0x30000000", "mov x1, #0x10000", "mov x2, #3", "ldr x3, =0x100022", "mov x4, #-1",
                "mov x5, #0", "mov x8, #222", "svc #0", "ldr x9, =0x30000000", "cmp x0, x9", "cset x0, ne",
                "add x0, x0, #42", "mov x8, #94", "svc #0",
            ]).joined(separator: "\n"), memory: bytes)
        #expect(status == 42, "43: the working memory is still there")
        let place = Int(saved - launchpad.base)
        for (index, value) in registers.enumerated() {
            let expected = index == 17 && !near ? ARM64Emulator.home : value
            #expect(memory.littleEndian64(at: place + index * 8) == expected, "x\(index)")
        }
        #expect(memory.littleEndian64(at: place + 248) == saved)
        #expect(memory.littleEndian64(at: place + 264) == 0x9000_0000)
        #expect(memory.littleEndian64(at: place + 272) == mask)
    }
}
