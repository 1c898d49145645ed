internal import Glibc

/// A context of io_setup(2), as the kernel keeps it.
///
/// - Source: fs/aio.c, `struct kioctx`.
package struct AsynchronousRing: Sendable {
    /// What io_setup(2) was asked for.
    package var requests: UInt32
    package var events: UInt32
    /// The event that the kernel writes next.
    package var tail: UInt32
    /// Requests that have no event yet.
    package var underWay: Int
}

extension KernelReader {
    /// The context of a process whose ring is mapped at an address. Nil: the process has none there; a child has inherited the
    /// mapping alone.
    ///
    /// - Preconditions: the tasks of the process stand still. Requests under way come to their end nevertheless.
    package func asynchronousRing(of pid: Int32, at address: UInt64) throws(SystemError) -> AsynchronousRing? {
        let memory = try Descriptor.open("/proc/\(pid)/mem")
        let space = try word(try file(memory), "file", "private_data")
        let table = try word(space, "mm_struct", "ioctx_table")
        if table == 0 { return nil }
        let contexts = table &+ UInt64(try offset("kioctx_table", "table"))
        for index in 0..<UInt64(try number(table, "kioctx_table", "nr")) {
            let context = try word(contexts &+ 8 &* index)
            if context == 0 { continue }
            if try word(context, "kioctx", "user_id") == address { return try asynchronousRing(context) }
        }
        return nil
    }

    /// Of the places for requests those are free that the context or a processor has at hand, and those with an event are
    /// counted: the others are under way.
    private func asynchronousRing(_ context: UInt64) throws(SystemError) -> AsynchronousRing {
        let events = try number(context, "kioctx", "nr_events")
        var free = Int(Int32(bitPattern: try number(context, "kioctx", "reqs_available")))
        let processors = try word(context, "kioctx", "cpu") &+ UInt64(try offset("kioctx_cpu", "reqs_available"))
        for distance in try distancesOfProcessors() {
            free += Int(littleEndian8(try read(processors &+ distance, 4) + [0, 0, 0, 0], at: 0))
        }
        let completed = Int(try number(context, "kioctx", "completed_events"))
        return AsynchronousRing(
            requests: try number(context, "kioctx", "max_reqs"), events: events,
            tail: try number(context, "kioctx", "tail"), underWay: Int(events) - 1 - free - completed)
    }
}
