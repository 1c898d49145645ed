package import FoundationEssentials
internal import LinuxABI

// Protocol Buffers for Swift hold bytes as `Data`; everything else here is `[UInt8]`.

extension [UInt8] {
    package var asData: Data { Data(self) }
}

extension Data {
    package var asBytes: [UInt8] { [UInt8](self) }
    /// Paths and command names as text to print: control characters and bytes that are not UTF-8 are escaped.
    package var asText: String { printable(asBytes) }
}
