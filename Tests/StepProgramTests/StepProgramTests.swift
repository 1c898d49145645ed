import StepProgram
import Testing

@Suite struct EncodingTests {
    /// 80 bytes as `steploop_x86_64.S` draws them.
    @Test func stepIsLaidOutAsTheLoopReadsIt() {
        var program = Program(title: "one")
        program.call(.mmap, [0x1000, 0x2000, 3, 0x22, .signed(-1), 0], check: .equals(0x1000))
        let bytes = EncodedStep.encode(program, at: 0x5000)
        var expected: [UInt8] = []
        expected += [9, 0, 0, 0, 0, 0, 0, 0]  // number: mmap
        expected += [0, 0x10, 0, 0, 0, 0, 0, 0]  // argument 0
        expected += [0, 0x20, 0, 0, 0, 0, 0, 0]  // argument 1
        expected += [3, 0, 0, 0, 0, 0, 0, 0]  // argument 2
        expected += [0x22, 0, 0, 0, 0, 0, 0, 0]  // argument 3
        expected += [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]  // argument 4
        expected += [0, 0, 0, 0, 0, 0, 0, 0]  // argument 5
        expected += [0, 0, 0, 0, 0, 0, 0, 0]  // result
        expected += [2, 0, 0, 0]  // check: equals
        expected += [0, 0, 0, 0]  // references: none
        expected += [0, 0x10, 0, 0, 0, 0, 0, 0]  // expected
        #expect(bytes == expected)
    }

    @Test func resultOfAnEarlierStepIsAReference() {
        var program = Program(title: "two")
        let opened = program.call(.openat, [.signed(-100), 0x9000, 0, 0])
        program.call(.dup3, [.result(of: opened), 70, 0])
        program.call(.close, [.stored(at: 0x7000)])
        let bytes = EncodedStep.encode(program, at: 0x5000)
        // The result of step 0 lies at its start + 56.
        #expect(bytes.littleEndian64(at: 80 + 8) == 0x5000 + 56)
        #expect(bytes.littleEndian32(at: 80 + 68) == 1)
        #expect(bytes.littleEndian64(at: 160 + 8) == 0x7000)
        #expect(bytes.littleEndian32(at: 160 + 68) == 1)
    }

    @Test func callsOfTheI386TableAreMarked() {
        var program = Program(title: "narrow")
        program.call32(.rt_sigaction, [10, 0x9000, 0, 8])
        let bytes = EncodedStep.encode(program, at: 0)
        #expect(bytes.littleEndian64(at: 0) == 1 << 32 | 174)
        #expect(bytes.littleEndian64(at: 16) == 0x9000)
        #expect(program.lines()[0].contains("rt_sigaction/32"))
    }

    @Test func waitAdvanceAndEndHaveTheirNumbers() {
        var program = Program(title: "special")
        program.wait(for: 0x100, toReach: 7, "")
        program.advance(0x200, "")
        program.end()
        let bytes = EncodedStep.encode(program, at: 0)
        #expect(Int64(bitPattern: bytes.littleEndian64(at: 0)) == -1)
        #expect(bytes.littleEndian64(at: 8) == 0x100)
        #expect(bytes.littleEndian64(at: 16) == 7)
        #expect(Int64(bitPattern: bytes.littleEndian64(at: 80)) == -2)
        // Memory that nobody wrote to must be an empty program.
        #expect(bytes.littleEndian64(at: 160) == 0)
    }
}

@Suite struct LaunchpadTests {
    @Test func dataAndProgramsLieWhereTheySayTheyLie() {
        var launchpad = Launchpad(base: 0x10_0000, slots: 100)
        #expect(launchpad.slotAddress(3) == 0x10_0000 + 8192 + 192)
        #expect(launchpad.dataStart == 0x10_0000 + 8192 + 8192)
        let first = launchpad.add(string: Array("/bin/true".utf8))
        let second = launchpad.add(words: [1, 2])
        #expect(first == launchpad.dataStart)
        #expect(second == first + 16)
        var parent = Program(title: "parent")
        parent.call(.clone3, [.value(second), 88, 0, 0, .slot(1), .program(1)], check: .equals(5))
        var child = Program(title: "child")
        child.call(.getpid)
        launchpad.add(parent)
        launchpad.add(child)
        let bytes = launchpad.encoded()
        #expect(bytes.starts(with: Array("/bin/true\0".utf8)))
        let parentStart = Int(launchpad.layout.addresses[0] - launchpad.dataStart)
        #expect(bytes.littleEndian64(at: parentStart + 40) == launchpad.slotAddress(1))
        #expect(bytes.littleEndian64(at: parentStart + 48) == launchpad.layout.addresses[1])
        #expect(launchpad.layout.addresses[1] == launchpad.layout.addresses[0] + 80)
        #expect(launchpad.size % 4096 == 0)
        #expect(UInt64(bytes.count) + launchpad.dataStart <= launchpad.base + launchpad.size)
    }

    @Test func failedStepIsFoundByItsAddress() {
        var launchpad = Launchpad(base: 0x10_0000, slots: 2)
        for title in ["a", "b"] {
            var program = Program(title: title)
            for _ in 0..<3 { program.call(.getpid) }
            launchpad.add(program)
        }
        let place = launchpad.layout.locate(stepAt: launchpad.layout.addresses[1] + 160)
        #expect(place?.program == 1)
        #expect(place?.step == 2)
        #expect(launchpad.layout.locate(stepAt: 0) == nil)
        #expect(launchpad.layout.locate(stepAt: launchpad.layout.addresses[1] + 240) == nil)
    }
}

@Suite struct PrintingTests {
    @Test func linesAreReadable() {
        var program = Program(title: "4711 bash")
        program.call(.munmap, [0x1000, 0x1f000], "drop")
        program.call(.mmap, [0x5500_0000, 0x11_a000, 5, 2, 68, 0x2f000], check: .equals(0x5500_0000), "/usr/bin/bash")
        let lines = program.lines()
        #expect(lines[0].contains("   0  munmap"))
        #expect(lines[0].contains("0x1000 .. 0x20000"))
        #expect(lines[1].contains("1.1 MiB r-xp fd 68 @0x2f000 = 0x55000000"))
        #expect(lines[1].hasSuffix("/usr/bin/bash"))
    }

    @Test(arguments: [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1 GiB"), (1_181_116_006, "1.1 GiB")])
    func sizes(bytes: UInt64, text: String) { #expect(byteCount(bytes) == text) }
}
