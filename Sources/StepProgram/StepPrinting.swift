internal import LinuxABI

extension Program {
    /// One readable line per step, as `crrestart --dry-run` prints them.
    package func lines() -> [String] {
        steps.enumerated().map { index, step in
            let number = String(index)
            return String(repeating: " ", count: Swift.max(0, 4 - number.count)) + number + "  " + step.line
        }
    }
}

extension Step {
    /// The name of the call or other operation.
    package var name: String {
        switch operation {
        case .call(let call): call.name
        case .call32(let call): call.name + "/32"
        case .wait: "wait"
        case .advance: "advance"
        case .end: "end"
        }
    }

    /// Name, operands, expected result and note.
    package var line: String {
        var text = name.padded(to: 18) + operands
        if case .equals(let value) = check {
            text += " = " + (value > 0xffff ? hex(UInt64(bitPattern: value)) : String(value))
        }
        if !note.isEmpty { text = text.padded(to: 72) + "  " + shown(note) }
        return text
    }

    private var operands: String {
        switch operation {
        case .call(.munmap), .call(.mprotect), .call(.madvise), .call(.mlock2):
            if case .value(let start) = arguments[0], case .value(let length) = arguments[1] {
                let rest = arguments.dropFirst(2).map(\.text).joined(separator: " ")
                return hex(start) + " .. " + hex(start &+ length) + (rest.isEmpty ? "" : " " + rest)
            }
        case .call(.mmap):
            if case .value(let start) = arguments[0], case .value(let length) = arguments[1],
                case .value(let protection) = arguments[2], case .value(let flags) = arguments[3]
            {
                let bits = [(1, "r"), (2, "w"), (4, "x")].map { protection & $0.0 != 0 ? $0.1 : "-" }.joined()
                let sharing = flags & 3 == 2 ? "p" : "s"
                let file =
                    flags & 0x20 != 0 ? "" : " fd \(arguments[4].text) @\(arguments[5].text)"
                return "\(hex(start)) \(byteCount(length)) \(bits)\(sharing)\(file)"
            }
        case .call(.clone3), .call(.clone):
            return "child goes on at its own program"
        default: break
        }
        return arguments.map(\.text).joined(separator: " ")
    }
}

extension Step.Argument {
    var text: String {
        switch self {
        case .value(let value):
            if value <= 0xffff { return String(value) }
            let signed = Int64(bitPattern: value)
            return signed < 0 && signed > -4096 ? String(signed) : hex(value)
        case .result(let step): return "result of \(step)"
        case .stored(let address): return "*" + hex(address)
        case .program(let task): return "program \(task)"
        case .slot(let task): return "slot \(task)"
        }
    }
}

/// Hexadecimal with the usual prefix.
package func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

/// A size with a unit, e.g. `164 KiB`.
package func byteCount(_ bytes: UInt64) -> String {
    if bytes < 1024 { return "\(bytes) B" }
    var value = Double(bytes)
    var unit = 0
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024, unit < units.count - 1 {
        value /= 1024
        unit += 1
    }
    let tenths = Int((value * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10) \(units[unit])" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
}

extension String {
    func padded(to width: Int) -> String {
        let length = utf8.count
        return length >= width ? self + " " : self + String(repeating: " ", count: width - length)
    }
}
