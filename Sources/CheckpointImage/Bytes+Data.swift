package import FoundationEssentials

// Protocol Buffers for Swift hold bytes as `Data`; everything else here is `[UInt8]`.

extension [UInt8] {
    package var asData: Data { Data(self) }
}

extension Data {
    package var asBytes: [UInt8] { [UInt8](self) }
    /// For people: paths and command names.
    package var asText: String { String(decoding: self, as: UTF8.self) }
}
