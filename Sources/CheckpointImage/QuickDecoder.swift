internal import FoundationEssentials
internal import SwiftProtobuf

/// Decodes bodies of records. The messages are those of the library, and so is what is decoded; but the compiler sees both sides here, and
/// makes plain code of what the library's own decoder calls by tables: most of the time of a restart's reading went there.
///
/// What is rare or wrong (fields that are not known, other wire types than expected, lengths beyond the end, texts that are not UTF-8,
/// messages nested too deeply) it leaves to the library: see ``decoded(_:)``.
///
/// - Source: protobuf.dev, "Encoding".
struct QuickDecoder {
    private struct LeftToLibrary: Error {}

    private let bytes: [UInt8]
    private var at = 0
    /// Where the message ends that is being decoded.
    private var end: Int
    private var depth = 0
    /// Of the field that is being decoded.
    private var wireType: UInt8 = 0
    /// Whether the message has taken that field; it does not take one that it does not know.
    private var isTaken = true

    /// Nil: the library has to decode it.
    static func decoded<Body: Message>(_ bytes: [UInt8]) -> Body? {
        var decoder = QuickDecoder(bytes)
        var body = Body()
        guard (try? body.decodeMessage(decoder: &decoder)) != nil else { return nil }
        return body
    }

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
        end = bytes.count
    }

    private mutating func varint() throws -> UInt64 {
        guard at < end else { throw LeftToLibrary() }
        let first = bytes[at]
        at += 1
        if first < 0x80 { return UInt64(first) }
        var value = UInt64(first & 0x7f)
        var shift: UInt64 = 7
        while at < end, shift < 63 {
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        // The tenth byte holds one bit.
        guard at < end, bytes[at] <= 1 else { throw LeftToLibrary() }
        value |= UInt64(bytes[at]) << 63
        at += 1
        return value
    }

    /// A varint that is a field of its own.
    private mutating func number() throws -> UInt64 {
        guard wireType == 0 else { throw LeftToLibrary() }
        isTaken = true
        return try varint()
    }

    /// The bytes behind a length.
    private mutating func piece() throws -> Range<Int> {
        guard wireType == 2 else { throw LeftToLibrary() }
        isTaken = true
        let length = try varint()
        guard length <= UInt64(end - at) else { throw LeftToLibrary() }
        defer { at += Int(length) }
        return at..<at + Int(length)
    }

    /// Values of a field that can be packed.
    private mutating func numbers<Value>(_ values: inout [Value], _ value: (UInt64) -> Value) throws {
        if wireType == 0 { return values.append(value(try number())) }
        let piece = try piece()
        let (next, last) = (at, end)
        (at, end) = (piece.lowerBound, piece.upperBound)
        while at < end { values.append(value(try varint())) }
        (at, end) = (next, last)
    }

    private mutating func message<Body: Message>(_ body: inout Body) throws {
        let piece = try piece()
        guard depth < 90 else { throw LeftToLibrary() }
        let (next, last) = (at, end)
        (at, end) = (piece.lowerBound, piece.upperBound)
        depth += 1
        try body.decodeMessage(decoder: &self)
        depth -= 1
        (at, end, isTaken) = (next, last, true)
    }

    private static func signed(_ value: UInt64) -> Int64 { Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }
    /// Of 32 bits: the upper ones do not count.
    private static func signed32(_ value: UInt64) -> Int32 { Int32(truncatingIfNeeded: signed(value & 0xffff_ffff)) }
}

extension QuickDecoder: SwiftProtobuf.Decoder {
    mutating func handleConflictingOneOf() {}

    mutating func nextFieldNumber() throws -> Int? {
        guard isTaken else { throw LeftToLibrary() }
        if at == end { return nil }
        let key = try varint()
        guard key <= 0xffff_ffff, key >> 3 != 0 else { throw LeftToLibrary() }
        (wireType, isTaken) = (UInt8(key & 7), false)
        return Int(key >> 3)
    }

    mutating func decodeSingularUInt32Field(value: inout UInt32) throws { value = UInt32(truncatingIfNeeded: try number()) }
    mutating func decodeRepeatedUInt32Field(value: inout [UInt32]) throws { try numbers(&value) { UInt32(truncatingIfNeeded: $0) } }
    mutating func decodeSingularUInt64Field(value: inout UInt64) throws { value = try number() }
    mutating func decodeRepeatedUInt64Field(value: inout [UInt64]) throws { try numbers(&value) { $0 } }
    mutating func decodeSingularSInt32Field(value: inout Int32) throws { value = Self.signed32(try number()) }
    mutating func decodeRepeatedSInt32Field(value: inout [Int32]) throws { try numbers(&value) { Self.signed32($0) } }
    mutating func decodeSingularSInt64Field(value: inout Int64) throws { value = Self.signed(try number()) }
    mutating func decodeSingularBoolField(value: inout Bool) throws { value = try number() != 0 }

    mutating func decodeRepeatedFixed32Field(value: inout [UInt32]) throws {
        let piece = try piece()
        guard piece.count % 4 == 0 else { throw LeftToLibrary() }
        for place in stride(from: piece.lowerBound, to: piece.upperBound, by: 4) { value.append(bytes.uint32(at: place)) }
    }

    mutating func decodeSingularStringField(value: inout String) throws {
        let piece = try piece()
        guard let text = String(validating: bytes[piece], as: UTF8.self) else { throw LeftToLibrary() }
        value = text
    }

    mutating func decodeSingularBytesField(value: inout Data) throws {
        let piece = try piece()
        value = Data(bytes[piece])
    }

    mutating func decodeRepeatedBytesField(value: inout [Data]) throws {
        let piece = try piece()
        value.append(Data(bytes[piece]))
    }

    mutating func decodeSingularEnumField<E: Enum>(value: inout E) throws where E.RawValue == Int {
        guard let known = E(rawValue: Int(Int32(truncatingIfNeeded: try number()))) else { throw LeftToLibrary() }
        value = known
    }

    mutating func decodeSingularMessageField<M: Message>(value: inout M?) throws {
        var body = value ?? M()
        value = nil
        try message(&body)
        value = body
    }

    mutating func decodeRepeatedMessageField<M: Message>(value: inout [M]) throws {
        var body = M()
        try message(&body)
        value.append(body)
    }
}

// MARK: - What no record has

/// Kinds of fields that no record has. The protocol wants them.
extension QuickDecoder {
    mutating func decodeSingularFloatField(value: inout Float) throws { throw LeftToLibrary() }
    mutating func decodeSingularFloatField(value: inout Float?) throws { throw LeftToLibrary() }
    mutating func decodeRepeatedFloatField(value: inout [Float]) throws { throw LeftToLibrary() }
    mutating func decodeSingularDoubleField(value: inout Double) throws { throw LeftToLibrary() }
    mutating func decodeSingularDoubleField(value: inout Double?) throws { throw LeftToLibrary() }
    mutating func decodeRepeatedDoubleField(value: inout [Double]) throws { throw LeftToLibrary() }
    mutating func decodeSingularInt32Field(value: inout Int32) throws { throw LeftToLibrary() }
    mutating func decodeSingularInt32Field(value: inout Int32?) throws { throw LeftToLibrary() }
    mutating func decodeRepeatedInt32Field(value: inout [Int32]) throws { throw LeftToLibrary() }
    mutating func decodeSingularInt64Field(value: inout Int64) throws { throw LeftToLibrary() }
    mutating func decodeSingularInt64Field(value: inout Int64?) throws { throw LeftToLibrary() }
    mutating func decodeRepeatedInt64Field(value: inout [Int64]) throws { throw LeftToLibrary() }
    mutating func decodeSingularUInt32Field(value: inout UInt32?) throws { throw LeftToLibrary() }
    mutating func decodeSingularUInt64Field(value: inout UInt64?) throws { throw LeftToLibrary() }
    mutating func decodeSingularSInt32Field(value: inout Int32?) throws { throw LeftToLibrary() }
    mutating func decodeSingularSInt64Field(value: inout Int64?) throws { throw LeftToLibrary() }
    mutating func decodeRepeatedSInt64Field(value: inout [Int64]) throws { throw LeftToLibrary() }
    mutating func decodeSingularFixed32Field(value: inout UInt32) throws { throw LeftToLibrary() }
    mutating func decodeSingularFixed32Field(value: inout UInt32?) throws { throw LeftToLibrary() }
    mutating func decodeSingularFixed64Field(value: inout UInt64) throws { throw LeftToLibrary() }
    mutating func decodeSingularFixed64Field(value: inout UInt64?) throws { throw LeftToLibrary() }
    mutating func decodeRepeatedFixed64Field(value: inout [UInt64]) throws { throw LeftToLibrary() }
    mutating func decodeSingularSFixed32Field(value: inout Int32) throws { throw LeftToLibrary() }
    mutating func decodeSingularSFixed32Field(value: inout Int32?) throws { throw LeftToLibrary() }
    mutating func decodeRepeatedSFixed32Field(value: inout [Int32]) throws { throw LeftToLibrary() }
    mutating func decodeSingularSFixed64Field(value: inout Int64) throws { throw LeftToLibrary() }
    mutating func decodeSingularSFixed64Field(value: inout Int64?) throws { throw LeftToLibrary() }
    mutating func decodeRepeatedSFixed64Field(value: inout [Int64]) throws { throw LeftToLibrary() }
    mutating func decodeSingularBoolField(value: inout Bool?) throws { throw LeftToLibrary() }
    mutating func decodeRepeatedBoolField(value: inout [Bool]) throws { throw LeftToLibrary() }
    mutating func decodeSingularStringField(value: inout String?) throws { throw LeftToLibrary() }
    mutating func decodeRepeatedStringField(value: inout [String]) throws { throw LeftToLibrary() }
    mutating func decodeSingularBytesField(value: inout Data?) throws { throw LeftToLibrary() }
    mutating func decodeSingularEnumField<E: Enum>(value: inout E?) throws where E.RawValue == Int { throw LeftToLibrary() }
    mutating func decodeRepeatedEnumField<E: Enum>(value: inout [E]) throws where E.RawValue == Int { throw LeftToLibrary() }
    mutating func decodeSingularGroupField<G: Message>(value: inout G?) throws { throw LeftToLibrary() }
    mutating func decodeRepeatedGroupField<G: Message>(value: inout [G]) throws { throw LeftToLibrary() }

    mutating func decodeMapField<KeyType, ValueType: MapValueType>(
        fieldType: _ProtobufMap<KeyType, ValueType>.Type, value: inout _ProtobufMap<KeyType, ValueType>.BaseType
    ) throws { throw LeftToLibrary() }

    mutating func decodeMapField<KeyType, ValueType>(
        fieldType: _ProtobufEnumMap<KeyType, ValueType>.Type, value: inout _ProtobufEnumMap<KeyType, ValueType>.BaseType
    ) throws where ValueType.RawValue == Int { throw LeftToLibrary() }

    mutating func decodeMapField<KeyType, ValueType>(
        fieldType: _ProtobufMessageMap<KeyType, ValueType>.Type, value: inout _ProtobufMessageMap<KeyType, ValueType>.BaseType
    ) throws { throw LeftToLibrary() }

    mutating func decodeExtensionField(values: inout ExtensionFieldValueSet, messageType: any Message.Type, fieldNumber: Int) throws {
        throw LeftToLibrary()
    }
}
