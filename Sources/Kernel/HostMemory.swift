/// The memory of the host, in bytes.
///
/// - Source: proc(5), `/proc/meminfo`.
package struct HostMemory: Equatable, Sendable {
    package var total: UInt64
    /// What programs can get without swapping.
    package var available: UInt64

    package init(total: UInt64, available: UInt64) {
        self.total = total
        self.available = available
    }

    package static func look() throws(SystemError) -> HostMemory { try HostMemory(parsing: readKernelText("/proc/meminfo")) }

    package init(parsing text: [UInt8]) throws(SystemError) {
        func value(_ name: String) throws(SystemError) -> UInt64 {
            let prefix = Array(name.utf8)
            guard let line = text.split(separator: .newline).first(where: { $0.starts(with: prefix) }) else { throw malformed("meminfo") }
            var cursor = ByteCursor(Array(line.dropFirst(prefix.count)))
            cursor.skipBlanks()
            guard let kilobytes = cursor.decimal(), kilobytes < 1 << 50 else { throw malformed("meminfo") }
            return kilobytes << 10
        }
        total = try value("MemTotal:")
        available = try value("MemAvailable:")
    }
}
