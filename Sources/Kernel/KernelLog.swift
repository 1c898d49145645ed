internal import Glibc
internal import LinuxABI

/// The kernel's messages, as a reader of `/dev/kmsg` of its own meets them.
///
/// - Source: Documentation/ABI/testing/dev-kmsg.
package enum KernelLog {
    /// The sequence numbers of all messages that are still there, ascending. Another reader's position does not move.
    ///
    /// - Errors: `EPERM`: reading needs CAP_SYSLOG where `dmesg_restrict` is set.
    package static func sequenceNumbers() throws(SystemError) -> [UInt64] {
        let log = try Descriptor.open("/dev/kmsg", O_RDONLY | O_NONBLOCK)
        var numbers: [UInt64] = []
        while true {
            let record: [UInt8]
            do throws(SystemError) { record = try log.read(upTo: 8192) } catch {
                if error.number == Errno.EAGAIN { return numbers }
                // Messages were overwritten while they were read: it goes on with the oldest.
                if error.number == Errno.EPIPE { continue }
                throw error
            }
            if record.isEmpty { return numbers }
            if let number = sequenceNumber(of: record) { numbers.append(number) }
        }
    }

    /// `6,1234,5678,-;text`: facility and priority, sequence number, microseconds, flags.
    static func sequenceNumber(of record: [UInt8]) -> UInt64? {
        let fields = record.prefix { $0 != UInt8(ascii: ";") }.split(separator: UInt8(ascii: ","))
        return fields.count >= 3 ? UInt64(String(decoding: fields[1], as: UTF8.self)) : nil
    }

    /// Whether the reader behind a descriptor of another process has messages to read. It does not read them.
    package static func hasUnread(of pid: Int32, descriptor: Int32) throws(SystemError) -> Bool {
        let copy = try Descriptor.open(task: pid).duplicate(remote: descriptor)
        return DescriptorTable.isReadable(copy.number)
    }
}

extension DescriptorTable {
    /// Whether a read would give something at once.
    @inline(never)
    static func isReadable(_ number: Int32) -> Bool {
        var look = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        // One structure, which outlives the call.
        return unsafe poll(&look, 1, 0) > 0 && look.revents & Int16(POLLIN) != 0
    }
}
