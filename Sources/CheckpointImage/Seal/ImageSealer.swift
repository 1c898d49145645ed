package import Crypto
internal import FoundationEssentials

/// Makes a sealed image of the bytes of an image: those of ``add(_:)`` and ``finish()``, one after the other.
package struct ImageSealer {
    private let key: SymmetricKey?
    private let signer: Curve25519.Signing.PrivateKey?
    private let headerHash: [UInt8]
    private var header: [UInt8]
    private var content: [UInt8] = []
    private var number: UInt64 = 0
    private var isFinished = false

    /// - Parameters:
    ///   - secret: of a key file; nil: the content can be read without a key.
    ///   - signer: nil: it is not signed.
    ///   - salt: 32 random bytes, never the same for two images.
    package init(secret: [UInt8]?, signer: Curve25519.Signing.PrivateKey?, salt: [UInt8] = Self.randomBytes()) throws {
        precondition(salt.count == 32, "salts have 32 bytes")
        var header = SealFormat.magic
        header.append(SealFormat.version)
        header.append((secret == nil ? 0 : SealFormat.encrypted) | (signer == nil ? 0 : SealFormat.signed))
        header += salt
        header += signer.map { Array($0.publicKey.rawRepresentation) } ?? [UInt8](repeating: 0, count: 32)
        key = secret.map { SealFormat.key($0, header: header[...]) }
        if let key {
            header += try AES.GCM.seal([UInt8](), using: key, nonce: SealFormat.nonce(0, 2), authenticating: header).tag
        } else {
            header += [UInt8](repeating: 0, count: SealFormat.tagLength)
        }
        headerHash = Array(SHA256.hash(data: header))
        header += try signer.map { Array(try $0.signature(for: SealFormat.headerName + header)) } ?? [UInt8](repeating: 0, count: SealFormat.signatureLength)
        self.header = header
        self.signer = signer
    }

    package static func randomBytes() -> [UInt8] { SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) } }

    /// Takes in the bytes that come next.
    ///
    /// - Returns: what can be written by now.
    package mutating func add(_ bytes: [UInt8]) throws -> [UInt8] {
        var output = takeHeader()
        var rest = bytes[...]
        while !rest.isEmpty {
            // A full piece is written when something follows it: it could be the last one.
            if content.count == SealFormat.pieceLength { try put(isLast: false, &output) }
            let part = rest.prefix(SealFormat.pieceLength - content.count)
            content += part
            rest = rest.dropFirst(part.count)
        }
        return output
    }

    /// The end of the image.
    package mutating func finish() throws -> [UInt8] {
        if isFinished { return [] }
        isFinished = true
        var output = takeHeader()
        try put(isLast: true, &output)
        return output
    }

    private mutating func takeHeader() -> [UInt8] {
        defer { header = [] }
        return header
    }

    private mutating func put(isLast: Bool, _ output: inout [UInt8]) throws {
        let word = UInt32(content.count) | (isLast ? SealFormat.lastPiece : 0)
        output.reserveCapacity(output.count + 4 + content.count + SealFormat.tagLength + SealFormat.signatureLength)
        output.append(word)
        if let key {
            let box = try AES.GCM.seal(content, using: key, nonce: SealFormat.nonce(number, isLast ? 1 : 0))
            // Nonce, content, tag: the nonce is known.
            try put(box.combined?.dropFirst(12) ?? box.ciphertext + box.tag, word, &output)
        } else {
            try put(content, word, &output)
        }
        content.removeAll(keepingCapacity: true)
        number += 1
    }

    private func put(_ body: some DataProtocol, _ word: UInt32, _ output: inout [UInt8]) throws {
        output += body
        if let signer { output += Array(try signer.signature(for: SealFormat.message(headerHash, number, word, body))) }
    }
}
