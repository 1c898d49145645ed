internal import SwiftProtobuf

/// Finds the error record of a checkpoint that failed while it streamed.
enum FailureRecord {
    /// The longest reason, in UTF-8 bytes.
    static let longestReason = 4000
    /// The error record and its trailer lie within this many bytes at the end.
    static let reach = 8192

    /// The error that the last bytes of an image state, nil where they state none.
    static func error(atEndOf bytes: some BidirectionalCollection<UInt8>) -> ImageError? {
        let last = Array(bytes.suffix(reach))
        guard case .failure(let length) = Trailer(Array(last.suffix(ImageFormat.trailerLength)))?.end,
            length >= UInt64(ImageFormat.recordHeaderLength),
            length <= UInt64(last.count - ImageFormat.trailerLength)
        else { return nil }
        let start = last.count - ImageFormat.trailerLength - Int(length)
        let bodyStart = start + ImageFormat.recordHeaderLength
        guard let header = try? RecordHeader(Array(last[start..<bodyStart]), at: 0),
            header.type == RecordType.failure.rawValue,
            header.length <= length - UInt64(ImageFormat.recordHeaderLength)
        else { return nil }
        let body = Array(last[bodyStart..<bodyStart + Int(header.length)])
        guard crc32c(body) == header.checksum else { return nil }
        return error(body: body)
    }

    /// The error that the body of an error record states.
    static func error(body: [UInt8]) -> ImageError? {
        guard let failure = try? ImageFailure(serializedBytes: body) else { return nil }
        return ImageError(.failedCheckpoint(failure.reason, status: failure.exitStatus))
    }
}
