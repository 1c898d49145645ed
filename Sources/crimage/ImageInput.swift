internal import ArgumentParser
internal import CheckpointImage
internal import Kernel

/// The bytes of an image: a file that is read at offsets, or a stream that is read from front to back.
enum ImageInput {
    case file(FileSource)
    case stream(StreamSource)

    /// Opens a path, or takes stdin for `-`.
    ///
    /// A file of size 0 is read as a stream: files of `/proc` have size 0 and contents all the same.
    init(_ path: String) throws(InputError) {
        do {
            if path == "-" {
                self = .stream(StreamSource(Descriptor(owning: 0)))
                return
            }
            let descriptor = try Descriptor.open(path)
            if let size = try descriptor.regularFileSize(), size > 0 {
                self = .file(FileSource(descriptor, size: size))
            } else {
                self = .stream(StreamSource(descriptor))
            }
        } catch { throw InputError(path: path, cause: error) }
    }
}

/// Why a file cannot be opened.
struct InputError: Error, CustomStringConvertible {
    var path: String
    var cause: SystemError

    var description: String {
        let help =
            switch cause.name {
            case "ENOENT": "no such file"
            case "EACCES", "EPERM": "its owner may read it"
            default: "in \(cause.call)"
            }
        return "cannot open image \(path): \(cause.name) (\(help))"
    }
}

final class FileSource: RandomSource {
    private let descriptor: Descriptor
    let size: UInt64

    init(_ descriptor: consuming Descriptor, size: UInt64) {
        self.descriptor = descriptor
        self.size = size
    }

    func read(upTo count: Int, at offset: UInt64) throws -> [UInt8] {
        try descriptor.read(upTo: count, at: offset)
    }
}

final class StreamSource: SequentialSource {
    private let descriptor: Descriptor

    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

    func read(upTo count: Int) throws -> [UInt8] {
        do { return try descriptor.read(upTo: count) } catch {
            throw error.name == "EISDIR" ? ImageError(.directory) : error
        }
    }
}
