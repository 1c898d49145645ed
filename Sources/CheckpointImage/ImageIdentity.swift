/// What tells one image from all others.
package enum ImageIdentity {
    package static func random() -> [UInt8] { (0..<ImageFormat.identityLength).map { _ in UInt8.random(in: 0...255) } }
}
