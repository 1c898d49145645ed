internal import LinuxABI

/// Bytes as the kernel gave them: a text of `/proc`, a path, a command name, a register set.
///
/// In a recorded sight they are a JSON string in which every byte that is not a printable character is escaped as
/// ``printable(_:)`` does it (`\xNN`, `\t`, `\e`, `\\`). A text of several lines is an array of such strings, one for
/// each line, so that a recording can be read and compared line by line.
struct RawText: Hashable, Sendable {
    var bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }
    init(_ text: String) { bytes = Array(text.utf8) }
    init(_ number: some BinaryInteger) { bytes = Array(String(number).utf8) }

    /// For people.
    var shown: String { printable(bytes) }
    /// The value of a text that consists of decimal digits, with a minus sign perhaps; nil for any other text.
    var number: Int64? { Int64(String(decoding: bytes, as: UTF8.self)) }
    var unsigned: UInt64? { UInt64(String(decoding: bytes, as: UTF8.self)) }

    static func == (text: RawText, other: String) -> Bool { text.bytes.elementsEqual(other.utf8) }
}

extension RawText: ExpressibleByStringLiteral {
    init(stringLiteral text: String) { self.init(text) }
}

extension RawText: Codable {
    private static let lineEnd = UInt8(ascii: "\n")

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let lines: [String]
        if let line = try? container.decode(String.self) { lines = [line] } else { lines = try container.decode([String].self) }
        bytes = []
        for (index, line) in lines.enumerated() {
            if index > 0 { bytes.append(Self.lineEnd) }
            guard let part = Self.unescaped(line) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "a wrong escape in \(line)")
            }
            bytes += part
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        let lines = bytes.split(separator: Self.lineEnd, omittingEmptySubsequences: false).map { printable(Array($0)) }
        if lines.count == 1 { try container.encode(lines[0]) } else { try container.encode(lines) }
    }

    /// Undoes ``printable(_:)``; nil for what that never writes.
    private static func unescaped(_ text: String) -> [UInt8]? {
        let escaped = Array(text.utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(escaped.count)
        var index = 0
        while index < escaped.count {
            guard escaped[index] == UInt8(ascii: "\\") else {
                bytes.append(escaped[index])
                index += 1
                continue
            }
            guard index + 1 < escaped.count else { return nil }
            index += 2
            switch escaped[index - 1] {
            case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "n"): bytes.append(lineEnd)
            case UInt8(ascii: "t"): bytes.append(UInt8(ascii: "\t"))
            case UInt8(ascii: "e"): bytes.append(0x1b)
            case UInt8(ascii: "x"):
                guard index + 2 <= escaped.count,
                    let byte = UInt8(String(decoding: escaped[index..<index + 2], as: UTF8.self), radix: 16)
                else { return nil }
                bytes.append(byte)
                index += 2
            default: return nil
            }
        }
        return bytes
    }
}
