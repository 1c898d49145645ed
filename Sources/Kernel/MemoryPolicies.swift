/// NUMA policies of mappings, as `/proc/PID/numa_maps` tells them.
///
/// On a host with one node of memory no policy changes anything, and none is looked for: the text costs a walk over the
/// page tables.
///
/// - Source: numa(7).
package struct MemoryPolicy: Equatable, Codable, Sendable {
    /// Where the mapping begins: hexadecimal digits.
    package var place: String
    /// For instance `bind:0-1`.
    package var text: String

    /// Those that are not the default.
    package static func all(of pid: Int32) throws(SystemError) -> [MemoryPolicy] {
        parse(try readKernelText("/proc/\(pid)/numa_maps", capacity: 1 << 16))
    }

    package static func parse(_ text: [UInt8]) -> [MemoryPolicy] {
        text.split(separator: .newline).compactMap { line in
            let words = line.split(separator: .blank, maxSplits: 2)
            guard words.count >= 2 else { return nil }
            let (place, policy) = (String(decoding: words[0], as: UTF8.self), String(decoding: words[1], as: UTF8.self))
            return policy == "default" ? nil : MemoryPolicy(place: place, text: policy)
        }
    }

    /// Whether this host has more than one node with memory.
    package static let matter: Bool = {
        guard let text = try? readKernelText("/sys/devices/system/node/has_memory", capacity: 256) else { return false }
        return text.contains { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ",") }
    }()
}
