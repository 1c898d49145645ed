package import CheckpointImage
package import Kernel
internal import LinuxABI

/// The bytes of an image, for all commands: a regular file at offsets, or what can only be read from front to back.
///
/// What a reader takes from either is bounded by the format's own limits, not by the size of the input.
package enum ImageInput {
    case file(ImageFile)
    case stream(ImageStream)

    /// Opens a path, or takes standard input for `-`, whatever that is.
    ///
    /// A regular file that says it is empty is read as a stream: those of `/proc` say so whatever they hold. So is a sealed image, and
    /// one that should be sealed.
    ///
    /// - Parameters:
    ///   - keys: what an image is decrypted with, and whose signature it has to have.
    ///   - isInterrupted: asked while an input without a writer, or with a silent one, is waited for: whether to give up.
    /// - Errors: as open(2); `EISDIR` comes with the first read.
    package init(_ path: String, _ keys: SealKeys, unless isInterrupted: @escaping () -> Bool = { false }) throws(ImageInputError) {
        if path == "-" {
            self = .stream(ImageStream(Descriptor(owning: 0), keys, isInterrupted))
            return
        }
        do throws(SystemError) {
            // O_NONBLOCK: open(2) of a FIFO would wait for a writer, and signals that are blocked would not end that.
            let descriptor = try Descriptor.open(path, Int32(OpenFlag.O_NONBLOCK))
            if let size = try descriptor.regularFileSize(), size > 0, !keys.areGiven, try !Self.isSealed(descriptor) {
                self = .file(ImageFile(descriptor, size: size))
            } else {
                self = .stream(ImageStream(descriptor, keys, isInterrupted))
            }
        } catch { throw ImageInputError(path: path, cause: error) }
    }

    /// Reads the beginning of a regular file.
    private static func isSealed(_ file: borrowing Descriptor) throws(SystemError) -> Bool {
        var first: [UInt8] = []
        while first.count < SealFormat.magic.count {
            let more = try file.read(upTo: SealFormat.magic.count - first.count, at: UInt64(first.count))
            if more.isEmpty { return false }
            first += more
        }
        return first == SealFormat.magic
    }

    /// The open file's number. Valid as long as this value lives.
    package var number: Int32 {
        switch self {
        case .file(let file): file.number
        case .stream(let stream): stream.number
        }
    }
}

/// A regular file that is not empty.
package final class ImageFile: RandomSource {
    package let descriptor: Descriptor
    /// In bytes, when it was opened.
    package let size: UInt64

    fileprivate init(_ descriptor: consuming Descriptor, size: UInt64) {
        self.descriptor = descriptor
        self.size = size
    }

    package var number: Int32 { descriptor.number }

    /// Opens a regular file that is not empty; nil: there is none, or it may not be read. Nothing else is opened.
    package convenience init?(at path: [UInt8]) {
        guard let status = try? FileStatus(of: path), status.kind == .regular,
            let descriptor = try? Descriptor.open(path, Int32(OpenFlag.O_NONBLOCK))
        else { return nil }
        guard let size = try? descriptor.regularFileSize(), size > 0 else { return nil }
        self.init(descriptor, size: size)
    }

    /// Its directory, an absolute path, and its name there. Nil for a file that has none any more.
    package var place: (directory: [UInt8], name: [UInt8])? {
        guard let path = try? readLink("/proc/self/fd/\(number)"), let slash = path.lastIndex(of: UInt8(ascii: "/")),
            let named = try? FileStatus(of: path), let own = try? FileStatus(of: descriptor), named.isSameFile(as: own)
        else { return nil }
        return (slash == 0 ? Array("/".utf8) : Array(path[..<slash]), Array(path[(slash + 1)...]))
    }

    package func read(upTo count: Int, at offset: UInt64) throws -> [UInt8] {
        try descriptor.read(upTo: count, at: offset)
    }
}

/// A pipe, a terminal, a file of `/proc`.
package final class ImageStream: SequentialSource {
    private let descriptor: Descriptor
    private let isInterrupted: () -> Bool
    private var seal: SealReader

    fileprivate init(_ descriptor: consuming Descriptor, _ keys: SealKeys, _ isInterrupted: @escaping () -> Bool) {
        seal = SealReader(keys)
        self.descriptor = descriptor
        self.isInterrupted = isInterrupted
    }

    package var number: Int32 { descriptor.number }

    package func read(upTo count: Int) throws -> [UInt8] { try seal.read(upTo: count, from: readRaw) }

    private func readRaw(upTo count: Int) throws -> [UInt8] {
        while true {
            do throws(SystemError) {
                try Channel.awaitInput(number, unless: isInterrupted)
                return try descriptor.read(upTo: count)
            } catch {
                // Another reader of the same pipe was faster.
                if error.name == "EAGAIN" { continue }
                if error.name == "EISDIR" { throw ImageError(.directory) }
                throw error
            }
        }
    }
}

/// Why an image cannot be opened.
package struct ImageInputError: Error, CustomStringConvertible {
    package var path: String
    package var cause: SystemError

    package var help: String {
        switch cause.name {
        case "ENOENT": "no such file"
        case "EACCES", "EPERM": "its owner may read it"
        default: "in \(cause.call)"
        }
    }

    package var description: String { "cannot open image \(printable(Array(path.utf8))): \(cause.name) (\(help))" }
}
