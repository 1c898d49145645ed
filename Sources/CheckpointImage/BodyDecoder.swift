internal import SwiftProtobuf

/// Decodes a body whose checksum was already compared.
///
/// Fields are counted first, because a field of two bytes can take a hundred bytes in memory once it is decoded: a limit of
/// all fields bounds one record, and a limit of empty ones bounds what an image takes by its size.
func decode<Body: RecordBody>(_ body: [UInt8], _ type: RecordType, at: UInt64)
    throws(ImageError) -> Body
{
    guard let fields = countFields(body) else {
        throw ImageError(.undecodable(type: type.rawValue, at: at))
    }
    guard fields.all <= ImageFormat.mostFields && fields.empty <= ImageFormat.mostEmptyFields else {
        throw ImageError(.tooManyFields(type: type.rawValue, at: at))
    }
    if let quick = Body.quicklyDecoded(body) { return quick }
    do { return try Body(serializedBytes: body) } catch {
        throw ImageError(.undecodable(type: type.rawValue, at: at))
    }
}

/// How many fields a body has at its top level, and how many of them are messages, texts or lists without anything in them; nil
/// where it is not well formed.
///
/// - Source: protobuf.dev, "Encoding": a key varint (number << 3 | wire type), then a varint (0), eight
///   bytes (1), a length and bytes (2) or four bytes (5). Groups (3, 4) are not used.
func countFields(_ body: [UInt8]) -> (all: Int, empty: Int)? {
    let bytes = body.span
    var at = 0
    func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while at < bytes.count, shift < 64 {
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
    var fields = 0
    var empty = 0
    while at < bytes.count {
        guard let key = varint() else { return nil }
        fields += 1
        let skip: UInt64
        switch key & 7 {
        case 0:
            guard varint() != nil else { return nil }
            skip = 0
        case 1: skip = 8
        case 2:
            guard let length = varint() else { return nil }
            skip = length
            if length == 0 { empty += 1 }
        case 5: skip = 4
        default: return nil
        }
        guard skip <= UInt64(bytes.count - at) else { return nil }
        at += Int(skip)
    }
    return (fields, empty)
}
