import CCodec
import CheckpointImage
import Testing

@Suite struct ChecksumTests {
    /// RFC 3720, appendix B.4.
    @Test func knownSums() {
        #expect(crc32c(Array("123456789".utf8)) == 0xE306_9283)
        #expect(crc32c([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(crc32c([UInt8](repeating: 0xff, count: 32)) == 0x62A8_AB43)
        #expect(crc32c(Array(0..<32)) == 0x46DD_794E)
        #expect(crc32c([]) == 0)
    }

    /// Lengths around the block sizes of the fast way, at every alignment.
    @Test func bothWaysAgree() {
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<60_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        for length in [0, 1, 7, 8, 9, 255, 256, 767, 768, 769, 4096, 24575, 24576, 24577, 50_000] {
            for start in 0..<9 {
                let sums = bytes[start..<start + length].withUnsafeBytes {
                    (
                        ccodec_crc32c(5, $0.baseAddress, length),
                        ccodec_crc32c_portable(5, $0.baseAddress, length)
                    )
                }
                #expect(sums.0 == sums.1, "\(length) bytes from \(start)")
            }
        }
    }

    @Test func chaining() {
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        let first = crc32c(Array(bytes[..<33_333]))
        #expect(crc32c(Array(bytes[33_333...]), from: first) == crc32c(bytes))
    }

    @Test(arguments: [0, 1, 64, 65, 128, 130]) func blocks(pages: Int) {
        let bytes = (0..<pages * 4096).map { UInt8(truncatingIfNeeded: $0 >> 3) }
        let expected = stride(from: 0, to: bytes.count, by: ImageFormat.checksumBlock).map {
            crc32c(Array(bytes[$0..<min($0 + ImageFormat.checksumBlock, bytes.count)]))
        }
        for piece in [4096, 100_000, 1 << 20] {
            var summer = PageChecksummer()
            for start in stride(from: 0, to: bytes.count, by: piece) {
                summer.add(Array(bytes[start..<min(start + piece, bytes.count)]))
            }
            #expect(summer.finish() == expected)
        }
        #expect(UInt64(expected.count) == ImageFormat.checksumCount(pages: UInt64(pages)))
    }
}
