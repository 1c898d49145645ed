/// Why a sealed image, or one that should be sealed, is refused. Offsets are bytes from the start of the file.
package enum SealProblem: Hashable, Sendable {
    case encrypted
    case wrongKey
    case notEncrypted
    case notSigned
    case otherSigner
    case wrongSignature(at: UInt64)
    case headerDamaged
    case damaged(at: UInt64)
    case otherVersion(UInt32)

    /// The image may be good: another key is needed.
    var isOfKeys: Bool { self == .encrypted || self == .wrongKey }

    var text: String {
        switch self {
        case .encrypted: "it is encrypted"
        case .wrongKey: "it was not encrypted with this key, or its first 160 bytes are damaged"
        case .notEncrypted: "it is not encrypted"
        case .notSigned: "it is not signed"
        case .otherSigner: "another key than this one has signed it"
        case .wrongSignature(let at): at == 0 ? "the signature of its first 96 bytes is wrong" : "the signature of the piece at \(hex(at)) is wrong"
        case .headerDamaged: "its first 160 bytes are damaged"
        case .damaged(let at): "the piece at \(hex(at)) is damaged"
        case .otherVersion(let version): "it is sealed in version \(version) of that format"
        }
    }

    var help: String {
        switch self {
        case .encrypted: "--decrypt KEYFILE names the key; nothing was read"
        case .wrongKey: "--decrypt names the file that --encrypt named; nothing was read"
        case .notEncrypted: "without --decrypt it can be read; is it the image that you mean?"
        case .notSigned: "without --verify-key it can be read, if you trust it"
        case .otherSigner: "--verify-key names the public key of the one who took the checkpoint; nothing was read"
        case .wrongSignature, .headerDamaged, .damaged: "it is not as it was written: copy it again, or trust another one"
        case .otherVersion: "this tool reads version \(SealFormat.version); use the tool that wrote it"
        }
    }
}
