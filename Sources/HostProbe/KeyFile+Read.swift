package import CheckpointImage
package import Crypto
internal import Kernel
internal import LinuxABI

/// Why a key cannot be taken from a file.
package struct KeyFileError: Error, CustomStringConvertible {
    var path: String
    var errno: String
    var help: String

    package var description: String { "cannot read key \(printable(Array(path.utf8))): \(errno) (\(help))" }
}

extension KeyFile {
    package static func signing(inFile path: String) throws(KeyFileError) -> Curve25519.Signing.PrivateKey {
        try read(path) { text throws(Problem) in try signing(text) }
    }

    package static func verifying(inFile path: String) throws(KeyFileError) -> Curve25519.Signing.PublicKey {
        try read(path) { text throws(Problem) in try verifying(text) }
    }

    package static func secret(inFile path: String) throws(KeyFileError) -> [UInt8] {
        try read(path) { bytes throws(Problem) in try secret(bytes) }
    }

    /// The keys that options name.
    package static func keys(decrypt: String?, verifyKey: String?) throws(KeyFileError) -> SealKeys {
        var keys = SealKeys.none
        if let decrypt { keys.secret = try secret(inFile: decrypt) }
        if let verifyKey { keys.verifying = try verifying(inFile: verifyKey) }
        return keys
    }

    private static func read<Value>(_ path: String, _ parse: ([UInt8]) throws(Problem) -> Value) throws(KeyFileError) -> Value {
        var bytes: [UInt8] = []
        do throws(SystemError) {
            let file = try Descriptor.open(path)
            while bytes.count <= longest {
                let more = try file.read(upTo: longest + 1 - bytes.count)
                if more.isEmpty { break }
                bytes += more
            }
        } catch { throw KeyFileError(path: path, errno: error.name, help: error.call) }
        do throws(Problem) { return try parse(bytes) } catch { throw KeyFileError(path: path, errno: "EINVAL", help: error.rawValue) }
    }
}
