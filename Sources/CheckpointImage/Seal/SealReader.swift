internal import Crypto
internal import FoundationEssentials

/// Gives the bytes of an image that may be sealed. A sealed one is told by its first bytes.
///
/// No byte of a piece is handed out before its tag and its signature were found right, as far as there are any and the keys are given.
package struct SealReader {
    private enum State {
        case unknown
        case plain
        case sealed(Piecewise)
    }

    private let keys: SealKeys
    private var state = State.unknown
    /// Bytes that can be handed out.
    private var ready: [UInt8] = []
    private var head = 0

    package init(_ keys: SealKeys) { self.keys = keys }

    /// The next bytes of the image, at least one and at most `count`; empty at the end.
    ///
    /// - Parameter source: the next bytes of what is read, at least one and at most as many as asked for; empty at the end.
    package mutating func read(upTo count: Int, from source: (Int) throws -> [UInt8]) throws -> [UInt8] {
        if case .unknown = state { try begin(source) }
        while true {
            if head < ready.count {
                let end = min(head + count, ready.count)
                defer { head = end }
                return Array(ready[head..<end])
            }
            guard case .sealed(var pieces) = state else { return try source(count) }
            guard let content = try pieces.next(source) else { return [] }
            state = .sealed(pieces)
            (ready, head) = (content, 0)
        }
    }

    private mutating func begin(_ source: (Int) throws -> [UInt8]) throws {
        var first: [UInt8] = []
        while first.count < SealFormat.headerLength, SealFormat.magic.starts(with: first.prefix(SealFormat.magic.count)) || first.starts(with: SealFormat.magic) {
            let more = try source(first.count < SealFormat.magic.count ? SealFormat.magic.count - first.count : SealFormat.headerLength - first.count)
            if more.isEmpty { break }
            first += more
        }
        guard first.starts(with: SealFormat.magic) else {
            if keys.areGiven {
                if first.isEmpty { throw ImageError(.empty) }
                guard first.starts(with: ImageFormat.magic) else { throw ImageError(.notAnImage) }
                throw ImageError(.seal(keys.secret == nil ? .notSigned : .notEncrypted))
            }
            (state, ready) = (.plain, first)
            return
        }
        guard first.count == SealFormat.headerLength else { throw ImageError(.endsEarly(at: UInt64(first.count))) }
        state = .sealed(try Piecewise(first, keys))
    }
}

/// The pieces of a sealed image, in order.
private struct Piecewise {
    private var key: SymmetricKey?
    private var signer: Curve25519.Signing.PublicKey?
    private let isSigned: Bool
    private let headerHash: [UInt8]
    private var number: UInt64 = 0
    private var offset = UInt64(SealFormat.headerLength)
    private var isAtEnd = false

    init(_ header: [UInt8], _ keys: SealKeys) throws {
        let (version, flags) = (header.uint32(at: 8), header.uint32(at: 12))
        guard version == SealFormat.version else { throw ImageError(.seal(.otherVersion(version))) }
        guard flags & ~(SealFormat.encrypted | SealFormat.signed) == 0, flags != 0 else { throw ImageError(.seal(.headerDamaged)) }
        isSigned = flags & SealFormat.signed != 0
        let isEncrypted = flags & SealFormat.encrypted != 0
        // What is not used holds zeros.
        let unused = (isSigned ? [] : header[48..<80] + header[SealFormat.signedLength...]) + (isEncrypted ? [] : header[SealFormat.provedLength..<SealFormat.signedLength])
        guard unused.allSatisfy({ $0 == 0 }) else { throw ImageError(.seal(.headerDamaged)) }
        headerHash = Array(SHA256.hash(data: header.prefix(SealFormat.signedLength)))
        if let verifying = keys.verifying {
            guard isSigned else { throw ImageError(.seal(.notSigned)) }
            guard Array(verifying.rawRepresentation) == Array(header[48..<80]) else { throw ImageError(.seal(.otherSigner)) }
            guard verifying.isValidSignature(header[SealFormat.signedLength...], for: SealFormat.headerName + header.prefix(SealFormat.signedLength)) else {
                throw ImageError(.seal(.wrongSignature(at: 0)))
            }
            signer = verifying
        }
        guard isEncrypted else {
            if keys.secret != nil { throw ImageError(.seal(.notEncrypted)) }
            return
        }
        guard let secret = keys.secret else { throw ImageError(.seal(.encrypted)) }
        let key = SealFormat.key(secret, header: header.prefix(SealFormat.provedLength))
        let proof = try AES.GCM.SealedBox(
            nonce: SealFormat.nonce(0, 2), ciphertext: [UInt8](), tag: header[SealFormat.provedLength..<SealFormat.signedLength])
        guard (try? AES.GCM.open(proof, using: key, authenticating: header.prefix(SealFormat.provedLength))) != nil else {
            throw ImageError(.seal(.wrongKey))
        }
        self.key = key
    }

    /// The content of the next piece; nil at the end.
    mutating func next(_ source: (Int) throws -> [UInt8]) throws -> [UInt8]? {
        if isAtEnd {
            guard try source(1).isEmpty else { throw ImageError(.trailingBytes(at: offset)) }
            return nil
        }
        let start = offset
        let word = try take(4, source).uint32(at: 0)
        let isLast = word & SealFormat.lastPiece != 0
        let length = Int(word & ~SealFormat.lastPiece)
        guard length <= SealFormat.pieceLength, isLast || length == SealFormat.pieceLength else { throw ImageError(.seal(.damaged(at: start))) }
        let body = try take(length + (key == nil ? 0 : SealFormat.tagLength), source)
        let signature = isSigned ? try take(SealFormat.signatureLength, source) : []
        if let signer, !signer.isValidSignature(signature, for: SealFormat.message(headerHash, number, word, body)) {
            throw ImageError(.seal(.wrongSignature(at: start)))
        }
        var content = body
        if let key {
            guard
                let box = try? AES.GCM.SealedBox(nonce: SealFormat.nonce(number, isLast ? 1 : 0), ciphertext: body.prefix(length), tag: body.suffix(SealFormat.tagLength)),
                let opened = try? AES.GCM.open(box, using: key)
            else { throw ImageError(.seal(.damaged(at: start))) }
            content = Array(opened)
        }
        number += 1
        isAtEnd = isLast
        return content
    }

    private mutating func take(_ count: Int, _ source: (Int) throws -> [UInt8]) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more = try source(count - bytes.count)
            if more.isEmpty { throw ImageError(.endsEarly(at: offset + UInt64(bytes.count))) }
            if bytes.isEmpty { bytes = more } else { bytes += more }
        }
        offset += UInt64(count)
        return bytes
    }
}
