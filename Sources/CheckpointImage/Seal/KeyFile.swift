package import Crypto
internal import FoundationEssentials

/// Keys as they stand in files.
///
/// - Source: RFC 8410 (`openssl genpkey -algorithm ed25519`, `openssl pkey -pubout`); RFC 7468.
package enum KeyFile {
    package typealias SigningKey = Curve25519.Signing.PrivateKey

    package enum Problem: String, Error {
        case notPEM = "it is no PEM text"
        case wrongKind = "it holds no Ed25519 key of the kind that is wanted"
        case isPublic = "it holds a public key: signing takes the private one"
        case isPrivate = "it holds a private key: verifying takes the public one, which openssl pkey -pubout writes"
        case tooShort = "it has fewer than 32 bytes"
        case tooLong = "it has more than 4096 bytes"
    }

    package static let shortestSecret = 32
    package static let longest = 4096

    /// SEQUENCE { version 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING } }, without the key.
    private static let privateStart: [UInt8] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20]
    /// SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING }, without the key.
    private static let publicStart: [UInt8] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]

    package static func signing(_ text: [UInt8]) throws(Problem) -> Curve25519.Signing.PrivateKey {
        let (label, bytes) = try block(text)
        if label == "PUBLIC KEY" { throw .isPublic }
        guard label == "PRIVATE KEY", bytes.count == privateStart.count + 32, bytes.starts(with: privateStart),
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes.suffix(32))
        else { throw .wrongKind }
        return key
    }

    package static func verifying(_ text: [UInt8]) throws(Problem) -> Curve25519.Signing.PublicKey {
        let (label, bytes) = try block(text)
        if label.hasSuffix("PRIVATE KEY") { throw .isPrivate }
        guard label == "PUBLIC KEY", bytes.count == publicStart.count + 32, bytes.starts(with: publicStart),
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes.suffix(32))
        else { throw .wrongKind }
        return key
    }

    /// The bytes of a file for `--encrypt` and `--decrypt`: all of them count.
    package static func secret(_ bytes: [UInt8]) throws(Problem) -> [UInt8] {
        if bytes.count < shortestSecret { throw .tooShort }
        if bytes.count > longest { throw .tooLong }
        return bytes
    }

    /// The first block of a PEM text: its label and its bytes.
    private static func block(_ text: [UInt8]) throws(Problem) -> (label: String, bytes: [UInt8]) {
        if text.count > longest { throw .tooLong }
        let lines = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline).map { $0.filter { !$0.isWhitespace || $0 == " " } }
        guard let first = lines.firstIndex(where: { $0.hasPrefix("-----BEGIN ") && $0.hasSuffix("-----") && $0.count > 16 }) else { throw .notPEM }
        let label = String(lines[first].dropFirst(11).dropLast(5))
        guard let last = lines[first...].firstIndex(of: "-----END \(label)-----"),
            let data = Data(base64Encoded: lines[first + 1..<last].joined())
        else { throw .notPEM }
        return (label, Array(data))
    }
}
