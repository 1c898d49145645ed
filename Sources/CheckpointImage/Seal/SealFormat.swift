package import Crypto
internal import FoundationEssentials

//  A sealed image: the bytes of an image in pieces of which each is signed, or encrypted, or both. All numbers are little endian.
//
//         0  "TREESEAL"  u32 version  u32 flags (1 encrypted, 2 signed)
//        16  32 random bytes
//        48  public key of the signer (Ed25519), zeros without a signature
//        80  proof of the key: the tag of AES-256-GCM over no bytes; zeros where nothing is encrypted
//        96  signature of the 96 bytes above, zeros without a signature
//       160  pieces:
//              u32 length of the content, bit 31: this is the last piece
//              content, encrypted or not: 1 MiB, fewer bytes or none in the last piece only
//              tag of AES-256-GCM, 16 bytes, where it is encrypted
//              signature, 64 bytes, where it is signed
//
//  The key of an image is HKDF-SHA-256 of the key file with the random bytes as salt and the 80 bytes before the proof as info. The nonce
//  of a piece is its number (u64, from 0), then four bytes: 1 for the last piece, 0 for others, and 2 with number 0 for the proof. A
//  signature is over a name, SHA-256 of the first 96 bytes, the number, the length as it stands in the file, and SHA-256 of what lies
//  between these and the signature. So a piece cannot be changed, left out, doubled, or put elsewhere, and the end cannot be cut off.
//
//  Ed25519: RFC 8032. HKDF: RFC 5869. AES-GCM: NIST SP 800-38D. The numbering of pieces: Hoang, Reyhanitabar, Rogaway, Vizár,
//  Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance (2015), STREAM.

/// The constants of sealed images.
package enum SealFormat {
    package static let magic: [UInt8] = Array("TREESEAL".utf8)
    package static let version: UInt32 = 1
    package static let encrypted: UInt32 = 1
    package static let signed: UInt32 = 2

    package static let headerLength = 160
    static let provedLength = 80
    static let signedLength = 96
    /// Bytes of content in each piece but the last.
    package static let pieceLength = 1 << 20
    static let lastPiece: UInt32 = 1 << 31
    static let tagLength = 16
    static let signatureLength = 64

    static let headerName: [UInt8] = Array("TreeRestore image header".utf8)
    static let pieceName: [UInt8] = Array("TreeRestore image piece".utf8)

    static func nonce(_ number: UInt64, _ mark: UInt8) throws -> AES.GCM.Nonce {
        var bytes: [UInt8] = []
        bytes.append(number)
        return try AES.GCM.Nonce(data: bytes + [mark, 0, 0, 0])
    }

    /// The key of one image.
    static func key(_ secret: [UInt8], header: ArraySlice<UInt8>) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: secret), salt: Array(header[header.startIndex + 16..<header.startIndex + 48]),
            info: Array(header.prefix(provedLength)), outputByteCount: 32)
    }

    /// What is signed of a piece.
    ///
    /// - Parameter header: SHA-256 of the first 96 bytes of the image.
    static func message(_ header: [UInt8], _ number: UInt64, _ word: UInt32, _ body: some DataProtocol) -> [UInt8] {
        var message = pieceName + header
        message.append(number)
        message.append(word)
        return message + Array(SHA256.hash(data: body))
    }
}

/// What a reader asks of an image, and a writer gives it.
package struct SealKeys: Sendable {
    /// Of a key file: an image has to be encrypted with it.
    package var secret: [UInt8]?
    /// Of the signer: an image has to be signed by it.
    package var verifying: Curve25519.Signing.PublicKey?

    package init(secret: [UInt8]? = nil, verifying: Curve25519.Signing.PublicKey? = nil) {
        self.secret = secret
        self.verifying = verifying
    }

    /// Nothing is asked: images that are not sealed are read, and those that are only signed.
    package static let none = SealKeys()

    package var areGiven: Bool { secret != nil || verifying != nil }
}
