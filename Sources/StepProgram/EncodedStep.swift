/// A step in the form that the step loop reads: 80 bytes, little endian. `steploop_x86_64.S` draws the layout.
package enum EncodedStep {
    package static let size = 80
    package static let resultOffset: UInt64 = 56
    /// A bit of the call number: the call is one of the i386 table.
    static let compatBit: Int64 = 1 << 32

    /// What is needed to turn symbolic operands into numbers.
    package struct Environment {
        var start: UInt64
        var program: (Int) -> UInt64
        var slot: (Int) -> UInt64
        var numbering: SystemCall.Numbering

        package init(
            start: UInt64, numbering: SystemCall.Numbering = .host, program: @escaping (Int) -> UInt64,
            slot: @escaping (Int) -> UInt64
        ) {
            self.start = start
            self.program = program
            self.slot = slot
            self.numbering = numbering
        }
    }

    package static func append(_ step: Step, in environment: Environment, to bytes: inout [UInt8]) {
        let number: Int64 =
            switch step.operation {
            case .call(let call): call.number(on: environment.numbering)
            case .call32(let call): call.rawValue | compatBit
            case .wait: -1
            case .advance: -2
            case .end: 0
            }
        bytes.append(littleEndian: UInt64(bitPattern: number))
        var references: UInt32 = 0
        for index in 0..<6 {
            guard index < step.arguments.count else {
                bytes.append(littleEndian: 0)
                continue
            }
            switch step.arguments[index] {
            case .value(let value): bytes.append(littleEndian: value)
            case .result(let earlier):
                references |= 1 << UInt32(index)
                bytes.append(littleEndian: environment.start + UInt64(earlier * size) + resultOffset)
            case .stored(let address):
                references |= 1 << UInt32(index)
                bytes.append(littleEndian: address)
            case .program(let program): bytes.append(littleEndian: environment.program(program))
            case .slot(let slot): bytes.append(littleEndian: environment.slot(slot))
            }
        }
        bytes.append(littleEndian: 0)  // result
        let (check, expected): (UInt32, Int64) =
            switch step.check {
            case .none: (0, 0)
            case .noError: (1, 0)
            case .equals(let value): (2, value)
            }
        bytes.append(littleEndian: UInt64(check) | UInt64(references) << 32)
        bytes.append(littleEndian: UInt64(bitPattern: expected))
    }

    /// Encodes a whole program whose first step will lie at `address`, and which refers to no other task's program.
    package static func encode(
        _ program: Program, at address: UInt64, numbering: SystemCall.Numbering = .host
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(program.steps.count * size)
        let environment = Environment(start: address, numbering: numbering, program: { _ in 0 }, slot: { _ in 0 })
        for step in program.steps { append(step, in: environment, to: &bytes) }
        return bytes
    }
}

extension [UInt8] {
    package mutating func append(littleEndian value: UInt64) {
        var value = value
        for _ in 0..<8 {
            append(UInt8(truncatingIfNeeded: value))
            value >>= 8
        }
    }

    package mutating func append(littleEndian32 value: UInt32) {
        var value = value
        for _ in 0..<4 {
            append(UInt8(truncatingIfNeeded: value))
            value >>= 8
        }
    }

    /// Eight bytes at an index, or 0 past the end.
    package func littleEndian64(at index: Int) -> UInt64 {
        guard index >= 0, index + 8 <= count else { return 0 }
        var value: UInt64 = 0
        for offset in (0..<8).reversed() { value = value << 8 | UInt64(self[index + offset]) }
        return value
    }

    package func littleEndian32(at index: Int) -> UInt32 {
        guard index >= 0, index + 4 <= count else { return 0 }
        var value: UInt32 = 0
        for offset in (0..<4).reversed() { value = value << 8 | UInt32(self[index + offset]) }
        return value
    }
}
