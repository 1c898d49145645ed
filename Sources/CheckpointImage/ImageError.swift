/// Why an image cannot be read (or, for a few cases, written).
package struct ImageError: Error, Equatable, Sendable {
    /// What is wrong with the image as a whole.
    package enum Kind: String, Sendable {
        /// The file is something else.
        case notAnImage
        /// A newer version of the tool made it.
        case newerVersion
        /// Bytes are not what was written, or never made sense.
        case damaged
        /// The end is missing.
        case incomplete
        /// The checkpoint failed and says so.
        case failedCheckpoint
        /// The source of the bytes refused to give them.
        case unreadable
        /// The writer was asked for what the format has no room for.
        case unwritable
    }

    package var reason: Reason

    package init(_ reason: Reason) { self.reason = reason }

    /// The error of a rule about what the records say, e.g. `thread 12: process 7 does not exist`.
    static func rule(_ rule: ImageRule, _ subject: String) -> ImageError { ImageError(.rule(rule, subject)) }

    /// 2 where the image is at fault, 1 where reading or writing is.
    package var exitStatus: Int32 {
        switch kind {
        case .unreadable, .unwritable: 1
        default: 2
        }
    }

    /// One sentence, e.g. `cannot read image a.img: record at 0x40 is damaged (...)`.
    package func sentence(image name: String? = nil) -> String {
        let verb = kind == .unwritable ? "write" : "read"
        let object = name.map { "image \($0)" } ?? "image"
        return "cannot \(verb) \(object): \(reason.text) (\(reason.help))"
    }
}

extension ImageError: CustomStringConvertible {
    package var description: String { sentence() }
}

func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
