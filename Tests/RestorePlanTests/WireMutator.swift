import CheckpointImage
import TreeModel

/// Changes an image in one place or a few, by its structure: fields and whole records. Repeatable: a seed gives one sequence.
struct WireMutator {
    private var random: SplitMix

    init(seed: UInt64) { random = SplitMix(seed) }

    /// One field of an encoded message.
    private struct Field {
        var number: UInt64
        /// 0 a number, 1 eight bytes, 2 bytes or a message, 5 four bytes.
        var wire: UInt64
        var value: UInt64 = 0
        var content: [UInt8] = []

        var bytes: [UInt8] {
            let key = WireMutator.varint(number << 3 | wire)
            return switch wire {
            case 0: key + WireMutator.varint(value)
            case 2: key + WireMutator.varint(UInt64(content.count)) + content
            default: key + content
            }
        }
    }

    mutating func mutated(_ image: RawImageFile, with others: [RawImageFile]) -> RawImageFile {
        var image = image
        for _ in 0...below(4) { change(&image, others) }
        return image
    }

    private mutating func below(_ count: Int) -> Int { count <= 1 ? 0 : Int(random.next() % UInt64(count)) }
    private mutating func pick<Element>(_ list: [Element]) -> Element? { list.isEmpty ? nil : list[below(list.count)] }

    private mutating func change(_ image: inout RawImageFile, _ others: [RawImageFile]) {
        guard !image.records.isEmpty else { return }
        let place = below(image.records.count)
        switch below(24) {
        case 0: image.records.remove(at: place)
        case 1: image.records.insert(image.records[place], at: below(image.records.count))
        case 2: image.records.swapAt(place, below(image.records.count))
        case 3: if let record = pick(others).flatMap({ pick($0.records) }) { image.records.insert(record, at: min(1 + place, image.records.count)) }
        case 4: image.records[place].id = UInt32(truncatingIfNeeded: extreme())
        case 5:
            image.records[place].type = pick(RecordType.allCases.map(\.rawValue) + [0, 100, 149, 200, .max]) ?? 0
            image.records[place].flags = UInt32(below(3))
        case 6: damage(&image.records[place].body)
        default: image.records[place].body = changed(image.records[place].body, depth: 0)
        }
    }

    /// Bytes of no structure.
    private mutating func damage(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        switch below(3) {
        case 0: bytes[below(bytes.count)] ^= 1 << UInt8(below(8))
        case 1: bytes.removeLast(1 + below(bytes.count))
        default: bytes += (0..<below(40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        }
    }

    private mutating func changed(_ message: [UInt8], depth: Int) -> [UInt8] {
        guard var fields = Self.fields(of: message), !fields.isEmpty else {
            var message = message
            damage(&message)
            return message
        }
        let place = below(fields.count)
        let isMessage = fields[place].wire == 2 && Self.fields(of: fields[place].content) != nil
        if isMessage && depth < 6 && below(4) > 0 {
            fields[place].content = changed(fields[place].content, depth: depth + 1)
            return fields.flatMap(\.bytes)
        }
        switch below(10) {
        case 0: fields.remove(at: place)
        case 1: fields.insert(fields[place], at: below(fields.count))
        case 2: fields.swapAt(place, below(fields.count))
        case 3: fields[place].number = UInt64(1 + below(60))
        case 4: fields.append(Field(number: UInt64(1 + below(60)), wire: 0, value: extreme()))
        case 5: fields += Array(repeating: fields[place], count: 1 << below(12))
        // A number from elsewhere in the message, such as an id that exists.
        case 6: if let other = pick(fields.filter { $0.wire == 0 }) { fields[place].value = other.value }
        default: setToExtreme(&fields[place])
        }
        return fields.flatMap(\.bytes)
    }

    private mutating func setToExtreme(_ field: inout Field) {
        switch field.wire {
        case 0: field.value = below(3) == 0 ? field.value &+ UInt64(below(3)) &- 1 : extreme()
        case 2:
            switch below(6) {
            case 0: field.content = []
            case 1: field.content = Array("\u{1b}[2J/../../etc/\n\u{7f}".utf8)
            case 2: field.content += [0]
            case 3: field.content = [UInt8](repeating: UInt8(ascii: "/"), count: 1 << below(16))
            default: damage(&field.content)
            }
        default: for index in field.content.indices { field.content[index] = UInt8(truncatingIfNeeded: random.next()) }
        }
    }

    private mutating func extreme() -> UInt64 {
        let near: [UInt64] = [0, 1, 2, 16, 64, 128, 4096, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, 0x7fff_ffff_f000, 1 << 47, 1 << 62, UInt64(Int64.max), .max]
        let value = pick(near) ?? 0
        switch below(4) {
        case 0: return value &+ 1
        case 1: return value &- 1
        case 2: return 1 << UInt64(below(64))
        default: return value
        }
    }

    private static func fields(of message: [UInt8]) -> [Field]? {
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
        func take(_ count: UInt64) -> [UInt8]? {
            guard count <= UInt64(message.count - at) else { return nil }
            defer { at += Int(count) }
            return Array(message[at..<at + Int(count)])
        }
        var fields: [Field] = []
        while at < message.count {
            guard let key = number(), key >> 3 > 0 else { return nil }
            var field = Field(number: key >> 3, wire: key & 7)
            switch field.wire {
            case 0:
                guard let value = number() else { return nil }
                field.value = value
            case 1, 5:
                guard let content = take(field.wire == 1 ? 8 : 4) else { return nil }
                field.content = content
            case 2:
                guard let content = number().flatMap(take) else { return nil }
                field.content = content
            default: return nil
            }
            fields.append(field)
        }
        return fields
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
