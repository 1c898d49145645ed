internal import CKernel
internal import Glibc

/// Processes and threads created since boot, in all namespaces.
///
/// - Source: proc(5), `/proc/stat`, `processes`.
package func forkCount() throws(SystemError) -> UInt64 {
    try parseForkCount(try readKernelText("/proc/stat", capacity: 1 << 14))
}

func parseForkCount(_ text: [UInt8]) throws(SystemError) -> UInt64 {
    var cursor = ByteCursor(text)
    let name = Array("processes ".utf8)
    while !cursor.isAtEnd {
        if cursor.next == name[0], text[cursor.position...].starts(with: name) {
            cursor.position += name.count
            if let count = cursor.decimal() { return count }
        }
        cursor.skipLine()
    }
    throw malformed("/proc/stat")
}

/// The random name of this boot: 36 characters. Times and pids of two images compare only where it is equal.
///
/// - Source: random(4), `/proc/sys/kernel/random/boot_id`.
package func bootID() throws(SystemError) -> String {
    let text = try readKernelText("/proc/sys/kernel/random/boot_id", capacity: 64)
    return String(decoding: text.prefix { $0 != .newline }, as: UTF8.self)
}

/// The kernel and machine as uname(2) names them.
package struct KernelIdentity: Equatable, Sendable {
    package var system: String
    package var node: String
    package var release: String
    package var version: String
    package var machine: String

    package init(system: String, node: String, release: String, version: String, machine: String) {
        self.system = system
        self.node = node
        self.release = release
        self.version = version
        self.machine = machine
    }

    /// Of the running kernel.
    @inline(never)
    package static func current() -> KernelIdentity {
        // struct new_utsname: six names of 65 bytes, each ended by a zero byte. The call cannot fail with
        // a good buffer.
        var bytes = [UInt8](repeating: 0, count: 6 * 65)
        _ = unsafe bytes.withUnsafeMutableBytes { buffer in
            ckernel_syscall(Int(SYS_uname), Int(bitPattern: buffer.baseAddress), 0, 0, 0, 0, 0)
        }
        func name(_ index: Int) -> String {
            String(decoding: bytes[(index * 65)..<(index * 65 + 65)].prefix { $0 != 0 }, as: UTF8.self)
        }
        return KernelIdentity(
            system: name(0), node: name(1), release: name(2), version: name(3), machine: name(4))
    }
}

/// The clocks that an image records.
package enum SystemClock: Int32, Sendable {
    case realtime = 0
    case monotonic = 1
    /// CPU time of the calling process and thread.
    case processTime = 2
    case threadTime = 3
    case monotonicRaw = 4
    case boottime = 7
    case realtimeAlarm = 8
    case boottimeAlarm = 9
    case tai = 11

    /// Nanoseconds since the clock's zero. Asks the kernel, so that a time namespace counts as it does for
    /// every program in it.
    @inline(never)
    package func now() -> Int64 {
        var time = timespec()
        // Cannot fail: the clock exists on every supported kernel, and the buffer is ours.
        _ = unsafe clock_gettime(rawValue, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// Bytes of a page of this machine.
package let pageSize = UInt64(sysconf(Int32(_SC_PAGESIZE)))
