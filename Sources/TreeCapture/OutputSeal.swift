package import CheckpointImage
package import Crypto
internal import Kernel
internal import LinuxABI

/// How an image is signed and encrypted while it is written (`--sign`, `--encrypt`).
package struct SealChoice: Sendable {
    /// Of a key file.
    package var secret: [UInt8]?
    package var signer: Curve25519.Signing.PrivateKey?

    package init(secret: [UInt8]?, signer: Curve25519.Signing.PrivateKey?) {
        self.secret = secret
        self.signer = signer
    }

    /// What a reader of that image needs.
    package var keys: SealKeys { SealKeys(secret: secret, verifying: signer?.publicKey) }
}

/// Puts an ``ImageSealer`` between what is written and the file.
final class OutputSeal {
    private var sealer: ImageSealer
    /// Bytes of the file.
    private(set) var written: UInt64 = 0

    init(_ choice: SealChoice, on output: OutputFile) throws(SystemError) {
        do { sealer = try ImageSealer(secret: choice.secret, signer: choice.signer) } catch { throw Self.failure(error) }
        output.filter = { bytes throws(SystemError) in try self.sealing { try $0.add(bytes) } }
    }

    /// Writes the last piece.
    func finish(_ output: OutputFile) throws(SystemError) {
        try output.put(sealing { try $0.finish() })
    }

    private func sealing(_ body: (inout ImageSealer) throws -> [UInt8]) throws(SystemError) -> [UInt8] {
        do {
            let bytes = try body(&sealer)
            written += UInt64(bytes.count)
            return bytes
        } catch { throw Self.failure(error) }
    }

    private static func failure(_ error: any Error) -> SystemError { SystemError(Errno.EIO, in: "the image cannot be sealed: \(error)") }
}
