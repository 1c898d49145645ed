/// One line of `/proc/PID/limits`.
///
/// prlimit(2) on a process of another user wants `CAP_SYS_RESOURCE`; this file does not.
package struct ResourceLimit: Equatable, Sendable {
    /// `RLIMIT_*`.
    package var resource: Int32
    /// All ones: unlimited.
    package var soft: UInt64
    package var hard: UInt64

    package init(resource: Int32, soft: UInt64, hard: UInt64) {
        self.resource = resource
        self.soft = soft
        self.hard = hard
    }
}

extension ResourceLimit {
    /// The kernel's names; the index is the resource's number.
    ///
    /// - Source: fs/proc/base.c, `lnames`; asm-generic/resource.h.
    package static let names = [
        "Max cpu time", "Max file size", "Max data size", "Max stack size", "Max core file size",
        "Max resident set", "Max processes", "Max open files", "Max locked memory", "Max address space",
        "Max file locks", "Max pending signals", "Max msgqueue size", "Max nice priority",
        "Max realtime priority", "Max realtime timeout",
    ]

    /// Width of the name's column.
    private static let nameWidth = 25

    /// Reads all limits of a process, in the order of their numbers.
    ///
    /// - If the process is gone: throws `ENOENT` or `ESRCH`.
    package static func all(of pid: Int32) throws(SystemError) -> [ResourceLimit] {
        return try parse(try ProcText.limits(of: pid))
    }

    package static func parse(_ text: [UInt8]) throws(SystemError) -> [ResourceLimit] {
        var limits: [ResourceLimit] = []
        var cursor = ByteCursor(text)
        cursor.skipLine()
        while !cursor.isAtEnd {
            let column = text[cursor.position..<min(cursor.position + nameWidth, text.count)]
            guard
                let resource = names.firstIndex(where: { name in
                    column.starts(with: name.utf8)
                        && column.dropFirst(name.utf8.count).allSatisfy { $0 == .blank }
                })
            else { throw malformed("limits") }
            cursor.position += column.count
            guard let soft = value(&cursor), let hard = value(&cursor) else { throw malformed("limits") }
            limits.append(ResourceLimit(resource: Int32(resource), soft: soft, hard: hard))
            cursor.skipLine()
        }
        guard limits.count == names.count else { throw malformed("limits") }
        return limits.sorted { $0.resource < $1.resource }
    }

    private static func value(_ cursor: inout ByteCursor) -> UInt64? {
        if let number = cursor.decimal() { return number }
        let start = cursor.position
        cursor.skipWord()
        return cursor.bytes[start..<cursor.position].elementsEqual("unlimited".utf8) ? .max : nil
    }
}
