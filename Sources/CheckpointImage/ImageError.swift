internal import LinuxABI

/// Why an image cannot be read (or, for a few cases, written).
package struct ImageError: Error, Hashable, Sendable {
    /// What is wrong with the image as a whole.
    package enum Kind: String, Sendable {
        /// The file is no image.
        case notAnImage
        /// An older or a newer version of the tool made it.
        case otherVersion
        /// Bytes are not as they were written, or records break a rule.
        case damaged
        /// The end is missing.
        case incomplete
        /// Another image, which has pages that are left out, is not there or is not the right one.
        case parent
        /// The image ends in the error record of a checkpoint that failed.
        case failedCheckpoint
        /// The bytes could not be read.
        case unreadable
        /// The writer was called in a wrong order, or a record is too long for the format.
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

    /// What is wrong, without what would help: for a writer that looks at its own records.
    package var cause: String { shown(reason.text) }

    /// One sentence, e.g. `cannot read image a.img: record at 0x40 is damaged (...)`.
    package func sentence(image name: String? = nil) -> String {
        let verb = kind == .unwritable ? "write" : "read"
        let object = name.map { "image \($0)" } ?? "image"
        return shown("cannot \(verb) \(object): \(reason.text) (\(reason.help))")
    }
}

extension ImageError: CustomStringConvertible {
    package var description: String { sentence() }
}

func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
