internal import CheckpointImage
internal import Kernel

/// Where an image comes from: a file that tasks read from in place, or a stream.
final class ImageInput {
    let name: String
    let descriptor: Int32
    /// Bytes, or nil for a stream.
    let size: UInt64?

    /// - Parameter path: nil for standard input.
    init(path: String?) throws(RestoreError) {
        name = path ?? "(standard input)"
        do throws(SystemError) {
            if let path {
                let file = try Descriptor.open(path)
                let status = try FileStatus(of: file)
                guard status.kind == .regular || status.kind == .pipe else {
                    throw SystemError(status.kind == .directory ? 21 : 22, in: "it is not a file")
                }
                // Files of /proc say they are empty and are not.
                size = status.kind == .regular ? UInt64(max(0, status.size)) : nil
                descriptor = file.release()
            } else {
                descriptor = 0
                let status = try FileStatus(ofNumber: 0)
                size = nil
                if status.kind == .directory { throw SystemError(21, in: "it is a directory") }
            }
        } catch {
            let isMissing = error.name == "ENOENT" || error.name == "EACCES"
            throw RestoreError(
                "cannot read image \(name): \(error.name) (\(error.name == "ENOENT" ? "there is no such file" : error.call))",
                exitStatus: isMissing ? 1 : 2)
        }
    }
}

extension ImageInput {
    func readAt(upTo count: Int, _ offset: UInt64) throws -> [UInt8] {
        let file = Descriptor(owning: descriptor)
        do throws(SystemError) {
            let bytes = try file.read(upTo: count, at: offset)
            _ = file.release()
            return bytes
        } catch {
            _ = file.release()
            throw error
        }
    }
}

/// The file as the reader of the format wants it.
struct FileSource: RandomSource {
    let input: ImageInput
    let size: UInt64

    func read(upTo count: Int, at offset: UInt64) throws -> [UInt8] { try input.readAt(upTo: count, offset) }
}

struct StreamSource: SequentialSource {
    let input: ImageInput

    mutating func read(upTo count: Int) throws -> [UInt8] {
        let file = Descriptor(owning: input.descriptor)
        do throws(SystemError) {
            let bytes = try file.read(upTo: count)
            _ = file.release()
            return bytes
        } catch {
            _ = file.release()
            throw error
        }
    }
}
