import SwiftProtobuf

/// Copies of a message in which one number has another value: each field of it and of the messages in it, whether it is there
/// or not.
///
/// The encoding is changed, not the value, so no field can be forgotten: a field that is appended takes the place of the
/// one that was there, and a number that the message does not have is dropped by the decoder.
struct Mutants<Body: Message & Equatable> {
    let original: Body
    private let bytes: [UInt8]
    private static var highestField: UInt64 { 80 }
    /// That no field has by itself.
    private static var probe: UInt64 { 0x5eed_5eed }

    init(of original: Body) throws {
        self.original = original
        bytes = try original.serializedBytes()
    }

    /// Every copy, for all values.
    func all(_ values: [UInt64]) -> [Body] {
        var copies: [Body] = []
        for field in 1...Self.highestField {
            let probes = Self.variants(bytes, field, Self.probe)
            let places = probes.indices.filter { place in decode(probes[place]).map { $0 != original } ?? false }
            if places.isEmpty { continue }
            for value in values {
                let variants = Self.variants(bytes, field, value)
                for place in places {
                    if let copy = decode(variants[place]), copy != original { copies.append(copy) }
                }
            }
        }
        return copies
    }

    private func decode(_ bytes: [UInt8]) -> Body? {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        return try? Body(serializedBytes: bytes, options: options)
    }

    /// The message with a number at its end, and with one at the end of each of its parts that may be messages.
    private static func variants(_ message: [UInt8], _ field: UInt64, _ value: UInt64, depth: Int = 0) -> [[UInt8]] {
        var all = [message + varint(field << 3) + varint(value)]
        guard depth < 4 else { return all }
        for part in parts(of: message) ?? [] where parts(of: Array(message[part.body])) != nil {
            for inner in variants(Array(message[part.body]), field, value, depth: depth + 1) {
                all.append(message[..<part.start] + varint(part.key) + varint(UInt64(inner.count)) + inner + message[part.body.upperBound...])
            }
        }
        return all
    }

    /// The fields of a message that have a length; nil where the bytes are no message.
    private static func parts(of message: [UInt8]) -> [(start: Int, key: UInt64, body: Range<Int>)]? {
        var at = 0
        func number() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 64, by: 7) {
                guard at < message.count else { return nil }
                value |= UInt64(message[at] & 0x7f) << shift
                at += 1
                if message[at - 1] < 0x80 { return value }
            }
            return nil
        }
        var parts: [(start: Int, key: UInt64, body: Range<Int>)] = []
        while at < message.count {
            let start = at
            guard let key = number(), key >> 3 > 0, let size = number() else { return nil }
            switch key & 7 {
            case 0: continue
            case 2:
                guard size <= UInt64(message.count - at) else { return nil }
                parts.append((start, key, at..<at + Int(size)))
                at += Int(size)
            default: return nil
            }
        }
        return parts
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        repeat {
            bytes.append(UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
            rest >>= 7
        } while rest != 0
        return bytes
    }
}
