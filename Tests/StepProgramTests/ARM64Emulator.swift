import Foundation
import StepProgram

/// Assembles the aarch64 step loop and runs it under qemu-user, in a folder of its own.
///
/// The program that is run is tiny: it maps its stdin, a launchpad file with the loop at its head, shared at
/// the address that the launchpad was made for, and enters the loop. What steps and slots hold afterwards is
/// in the file, even if a step failed.
final class ARM64Emulator {
    static let base: UInt64 = 0x400_0000
    static let text: UInt64 = 0x20_0000
    /// Where the entered code finds itself again after `end`, or after the stub.
    static let home: UInt64 = text + 0x1000

    /// What is missing for assembling, or for running as well; nil if nothing is.
    static let missingForAssembly = firstAbsent(["clang", "llvm-nm", "llvm-objcopy"])
    static let missing = missingForAssembly ?? firstAbsent(["ld.lld", "qemu-aarch64"])

    private static func firstAbsent(_ tools: [String]) -> String? { tools.first { path(of: $0) == nil } }

    private static func path(of tool: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(tool)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Whether the emulator knows clone3.
    static let hasClone3: Bool = {
        guard missing == nil, let emulator = try? ARM64Emulator() else { return false }
        var launchpad = Launchpad(base: base, slots: 2)
        var program = Program(title: "clone3")
        let arguments = launchpad.add(words: [0, 0, 0, 0, 17, 0, 0, 0])
        program.call(.clone3, [.value(arguments), 64, 0, 0, .slot(1), .program(1)], check: .none)
        program.end()
        launchpad.add(program)
        var child = Program(title: "child")
        child.call(.exit_group, [0])
        launchpad.add(child)
        guard let run = try? emulator.run(launchpad) else { return false }
        return run.result(of: 0, in: 0) > 0
    }()

    private let folder: URL
    /// `.rodata` of the assembled file: the loop, then the stub.
    let code: [UInt8]
    let symbols: [String: UInt64]

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("arm64-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/CKernel/steploop_aarch64.S")
        let (object, binary) = (folder.appendingPathComponent("loop.o"), folder.appendingPathComponent("loop.bin"))
        try Self.expectSuccess(
            "clang", ["--target=aarch64-linux-gnu", "-c", source.path, "-o", object.path])
        try Self.expectSuccess(
            "llvm-objcopy", ["-O", "binary", "--only-section=.rodata", object.path, binary.path])
        code = Array(try Data(contentsOf: binary))
        var symbols: [String: UInt64] = [:]
        for line in try Self.expectSuccess("llvm-nm", [object.path]).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 3 { symbols[String(words[2])] = UInt64(words[0], radix: 16) }
        }
        self.symbols = symbols
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// A launchpad after its program has run.
    struct Run {
        var status: Int32
        var launchpad: Launchpad
        var memory: [UInt8]

        func word(at address: UInt64) -> UInt64 { memory.littleEndian64(at: Int(address - launchpad.base)) }

        func result(of step: Int, in program: Int) -> Int64 {
            let address = launchpad.layout.addresses[program] + UInt64(step * EncodedStep.size)
            return Int64(bitPattern: word(at: address + EncodedStep.resultOffset))
        }
    }

    /// Runs program 0 of a launchpad with slot 0; `end` exits with status 42.
    func run(_ launchpad: Launchpad) throws -> Run {
        var bytes = [UInt8](repeating: 0, count: Int(launchpad.size))
        bytes.replaceSubrange(0..<code.count, with: code)
        let data = Int(launchpad.dataStart - launchpad.base)
        let encoded = launchpad.encoded(numbering: .arm64)
        bytes.replaceSubrange(data..<data + encoded.count, with: encoded)
        let (status, memory) = try enter(
            """
                ldr x19, =\(launchpad.layout.addresses[0])
                ldr x20, =\(launchpad.slotAddress(0))
                ldr x21, =\(Self.home)
                ldr x9, =\(Self.base + symbols["ckernel_steploop_start"]!)
                br  x9
            """,
            home: """
                mov x0, #42
                mov x8, #94
                svc #0
                """, memory: bytes)
        return Run(status: status, launchpad: launchpad, memory: memory)
    }

    /// Runs `entry` with `memory` mapped at `base`; `home` is the code at that address.
    func enter(_ entry: String, home: String, memory: [UInt8]) throws -> (status: Int32, memory: [UInt8]) {
        let names = ["start.S", "start.o", "start", "launchpad"].map { folder.appendingPathComponent($0) }
        let text = """
                .globl _start
            _start:
                ldr x0, =\(Self.base)
                ldr x1, =\(memory.count)
                mov x2, #7
                mov x3, #0x11
                mov x4, #0
                mov x5, #0
                mov x8, #222
                svc #0
            \(entry)
                .ltorg
                .org 0x1000
            \(home)
                .ltorg

            """
        try Data(text.utf8).write(to: names[0])
        try Data(memory).write(to: names[3])
        try Self.expectSuccess(
            "clang", ["--target=aarch64-linux-gnu", "-c", names[0].path, "-o", names[1].path])
        try Self.expectSuccess(
            "ld.lld", ["-static", "-Ttext=0x\(String(Self.text, radix: 16))", names[1].path, "-o", names[2].path])
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.path(of: "qemu-aarch64")!)
        process.arguments = [names[2].path]
        process.standardInput = try FileHandle(forUpdating: names[3])
        try process.run()
        // A loop that is wrong may wait for ever, and so may its children: `Process` gives each a group of its own.
        let deadline = Date(timeIntervalSinceNow: 60)
        while process.isRunning && Date() < deadline { usleep(2000) }
        if process.isRunning { kill(-process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        let status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        return (status, Array(try Data(contentsOf: names[3])))
    }

    /// A path in the folder, which goes with the emulator.
    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    struct ToolError: Error {
        var tool: String
        var output: String
    }

    @discardableResult
    private static func expectSuccess(_ tool: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path(of: tool) ?? "/nowhere/\(tool)")
        process.arguments = arguments
        let output = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if process.terminationStatus != 0 { throw ToolError(tool: tool, output: text) }
        return text
    }
}
