import CheckpointImage
import Crypto
import Foundation
import Testing

/// Sealed images: signed, encrypted, or both.
@Suite struct SealTests {
    /// How an image is sealed.
    enum Way: CaseIterable { case signed, encrypted, both }

    static let secret = [UInt8](0..<40)
    static let signer = try! Curve25519.Signing.PrivateKey(rawRepresentation: [UInt8](repeating: 7, count: 32))
    static let stranger = try! Curve25519.Signing.PrivateKey(rawRepresentation: [UInt8](repeating: 8, count: 32))

    static func keys(_ way: Way) -> SealKeys {
        SealKeys(secret: way == .signed ? nil : secret, verifying: way == .encrypted ? nil : signer.publicKey)
    }

    static func sealed(_ bytes: [UInt8], _ way: Way, salt: UInt8 = 1, parts: Int = 1 << 30) throws -> [UInt8] {
        var sealer = try ImageSealer(
            secret: way == .signed ? nil : secret, signer: way == .encrypted ? nil : signer, salt: [UInt8](repeating: salt, count: 32))
        var output: [UInt8] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            output += try sealer.add(Array(rest.prefix(parts)))
            rest = rest.dropFirst(parts)
        }
        return output + (try sealer.finish())
    }

    /// All bytes, read in steps from a source that gives at most `step` at a time.
    static func opened(_ bytes: [UInt8], _ keys: SealKeys, step: Int = 1 << 20) throws -> [UInt8] {
        var source = ByteSource(bytes)
        var reader = SealReader(keys)
        var output: [UInt8] = []
        while true {
            let more = try reader.read(upTo: step) { count in source.read(upTo: min(count, step)) }
            if more.isEmpty { return output }
            output += more
        }
    }

    private static func refusal(_ bytes: [UInt8], _ keys: SealKeys) -> ImageError.Reason? {
        do {
            _ = try opened(bytes, keys)
            return nil
        } catch { return (error as? ImageError)?.reason }
    }

    static func content(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) } }

    @Test(arguments: Way.allCases, [0, 1, 4095, 1 << 20, 1 << 20 + 1, 3 << 20 - 5])
    func comesBack(way: Way, count: Int) throws {
        let bytes = Self.content(count)
        let sealed = try Self.sealed(bytes, way, parts: 300_001)
        #expect(sealed.starts(with: Array("TREESEAL".utf8)))
        #expect(sealed.count == 160 + bytes.count + max(1, (count + (1 << 20) - 1) >> 20) * (4 + (way == .signed ? 0 : 16) + (way == .encrypted ? 0 : 64)))
        #expect(try Self.opened(sealed, Self.keys(way)) == bytes)
        if count < 10_000 { #expect(try Self.opened(sealed, Self.keys(way), step: 7) == bytes) }
        if count == 4095, way != .signed { #expect(sealed.firstRange(of: bytes[100..<120]) == nil) }
    }

    /// Each byte of a small image, its header included, is covered.
    @Test(arguments: Way.allCases) func everyFlipIsFound(way: Way) throws {
        var sealed = try Self.sealed(Self.content(300), way)
        for position in sealed.indices {
            sealed[position] ^= 1 << UInt8(position % 8)
            #expect(Self.refusal(sealed, Self.keys(way)) != nil, "byte \(position)")
            sealed[position] ^= 1 << UInt8(position % 8)
        }
        #expect(Self.refusal(sealed, Self.keys(way)) == nil)
    }

    /// Also where checksums of the image itself are made right again, a signature is not.
    @Test func signedImageIsWholeOrRefused() throws {
        let image = try DamageTests.small()
        let sealed = try Self.sealed(image, .signed)
        #expect(try readPipe(Self.opened(sealed, Self.keys(.signed))).processes.count == 1)
        // Without the key it can be read: it only is not known whose it is.
        #expect(try Self.opened(sealed, .none) == image)
    }

    @Test(arguments: Way.allCases) func everyCutIsFound(way: Way) throws {
        let sealed = try Self.sealed(Self.content(200), way)
        for count in 1..<sealed.count {
            guard count >= 8 else { continue }
            #expect(Self.refusal(Array(sealed[..<count]), Self.keys(way)) == .endsEarly(at: UInt64(count)), "cut at \(count)")
        }
        #expect(Self.refusal(sealed + [0], Self.keys(way)) == .trailingBytes(at: UInt64(sealed.count)))
    }

    /// Pieces cannot be left out, doubled, put elsewhere or taken from another image with the same key.
    @Test(arguments: Way.allCases) func piecesKeepTheirPlaces(way: Way) throws {
        let (bytes, keys) = (Self.content(3 << 20 - 9), Self.keys(way))
        let sealed = try Self.sealed(bytes, way)
        let other = try Self.sealed(bytes, way, salt: 2)
        let length = 4 + (1 << 20) + (way == .signed ? 0 : 16) + (way == .encrypted ? 0 : 64)
        func piece(_ number: Int, of image: [UInt8]) -> ArraySlice<UInt8> { image[min(160 + number * length, image.count)..<min(160 + (number + 1) * length, image.count)] }
        func joined(_ numbers: [Int]) -> [UInt8] { Array(sealed[..<160]) + numbers.flatMap { piece($0, of: sealed) } }
        #expect(joined([0, 1, 2]) == sealed)
        for wrong in [[1, 0, 2], [0, 2], [0, 0, 1, 2], [0, 1, 1, 2], [2], [1, 2]] {
            switch Self.refusal(joined(wrong), keys) {
            case .seal(.damaged), .seal(.wrongSignature): break
            case let found: Issue.record("\(wrong): \(String(describing: found))")
            }
        }
        #expect(Self.refusal(joined([0, 1]), keys) == .endsEarly(at: UInt64(160 + 2 * length)))
        let mixed: [UInt8] = Array(sealed[..<160]) + Array(piece(0, of: other)) + Array(sealed[(160 + length)...])
        #expect(Self.refusal(mixed, keys) != nil)
        // The last one as if it were not, and one of the others as if it were.
        var last = sealed
        last[160 + 2 * length + 3] ^= 0x80
        #expect(Self.refusal(last, keys) != nil)
        var early = Array(sealed[..<(160 + length)])
        early[163] |= 0x80
        #expect(Self.refusal(early, keys) != nil)
    }

    /// What is told when the keys do not fit; no content is handed out.
    @Test func wrongKeysAreTold() throws {
        let image = try DamageTests.small()
        let other = SealKeys(secret: [UInt8](repeating: 1, count: 32))
        #expect(Self.refusal(try Self.sealed(image, .encrypted), other) == .seal(.wrongKey))
        #expect(Self.refusal(try Self.sealed(image, .encrypted), .none) == .seal(.encrypted))
        #expect(Self.refusal(try Self.sealed(image, .both), .none) == .seal(.encrypted))
        #expect(Self.refusal(try Self.sealed(image, .signed), SealKeys(secret: Self.secret)) == .seal(.notEncrypted))
        #expect(Self.refusal(image, SealKeys(secret: Self.secret)) == .seal(.notEncrypted))
        let wanted = SealKeys(secret: Self.secret, verifying: Self.stranger.publicKey)
        #expect(Self.refusal(try Self.sealed(image, .both), wanted) == .seal(.otherSigner))
        #expect(Self.refusal(try Self.sealed(image, .encrypted), wanted) == .seal(.notSigned))
        #expect(Self.refusal(image, SealKeys(verifying: Self.stranger.publicKey)) == .seal(.notSigned))
        #expect(Self.refusal(Array("no image".utf8), SealKeys(secret: Self.secret)) == .notAnImage)
        #expect(ImageError(.seal(.wrongKey)).exitStatus == 1 && ImageError(.seal(.wrongSignature(at: 160))).exitStatus == 2)
    }

    /// A stranger's signature under the name of the signer.
    @Test func forgedSignature() throws {
        var sealer = try ImageSealer(secret: nil, signer: Self.stranger)
        var sealed = try sealer.add(Self.content(99)) + sealer.finish()
        sealed.replaceSubrange(48..<80, with: Self.signer.publicKey.rawRepresentation)
        #expect(Self.refusal(sealed, Self.keys(.signed)) == .seal(.wrongSignature(at: 0)))
    }

    @Test func sameImageIsNeverEncryptedTheSame() throws {
        var (first, second) = (try ImageSealer(secret: Self.secret, signer: nil), try ImageSealer(secret: Self.secret, signer: nil))
        #expect(try first.add([1]) + first.finish() != second.add([1]) + second.finish())
    }

    /// As openssl(1) writes them.
    @Test func keysFromFiles() throws {
        let secret = """
            -----BEGIN PRIVATE KEY-----
            MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH
            -----END PRIVATE KEY-----

            """
        let signer = try KeyFile.signing(Array(secret.utf8))
        #expect(signer.rawRepresentation == Self.signer.rawRepresentation)
        let der: [UInt8] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00] + Array(signer.publicKey.rawRepresentation)
        let open = "-----BEGIN PUBLIC KEY-----\r\n\(Data(der).base64EncodedString())\r\n-----END PUBLIC KEY-----\r\n"
        #expect(try KeyFile.verifying(Array(("a comment\n" + open).utf8)).rawRepresentation == signer.publicKey.rawRepresentation)
        #expect(throws: KeyFile.Problem.isPrivate) { try KeyFile.verifying(Array(secret.utf8)) }
        #expect(throws: KeyFile.Problem.isPublic) { try KeyFile.signing(Array(open.utf8)) }
        #expect(throws: KeyFile.Problem.notPEM) { try KeyFile.signing(Array("-----BEGIN PRIVATE KEY-----\n".utf8)) }
        #expect(throws: KeyFile.Problem.wrongKind) { try KeyFile.signing(Array(secret.replacingOccurrences(of: "VwBC", with: "VxBC").utf8)) }
        #expect(throws: KeyFile.Problem.tooShort) { try KeyFile.secret([UInt8](repeating: 1, count: 31)) }
        #expect(throws: KeyFile.Problem.tooLong) { try KeyFile.secret([UInt8](repeating: 1, count: 4097)) }
    }
}
