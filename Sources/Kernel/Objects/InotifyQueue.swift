internal import CKernel
internal import Glibc
internal import LinuxABI

extension KernelReader {
    /// The events that wait in an inotify, as read(2) would give them. None is taken.
    ///
    /// - Preconditions: nothing reads from it meanwhile. New events may come behind those that are there.
    /// - Source: fs/notify/inotify/inotify_user.c, `copy_event_to_user`.
    package func inotifyEvents(of pid: Int32, descriptor: Int32) throws(SystemError) -> [UInt8] {
        let copy = try Descriptor.open(task: pid).duplicate(remote: descriptor)
        let group = try word(try file(copy), "file", "private_data")
        let head = group &+ UInt64(try offset("fsnotify_group", "notification_list"))
        let header = try layout.size("inotify_event_info")
        let link = try offset("inotify_event_info", "fse.list")
        let (mask, watch) = (try offset("inotify_event_info", "mask"), try offset("inotify_event_info", "wd"))
        let (cookie, length) = (try offset("inotify_event_info", "sync_cookie"), try offset("inotify_event_info", "name_len"))
        let name = try offset("inotify_event_info", "name")
        let next = try offset("list_head", "next")
        var events: [UInt8] = []
        var entry = try word(head &+ UInt64(next))
        for _ in 0..<Self.mostEvents {
            if entry == head { return events }
            let event = entry &- UInt64(link)
            let bytes = try read(event, header)
            func number(_ at: Int) -> UInt32 { UInt32(littleEndian8(Array(bytes[at..<at + 4]) + [0, 0, 0, 0], at: 0)) }
            guard number(length) <= 255 else { throw SystemError(EAGAIN, in: "read the events of an inotify") }
            let told = number(mask) & Inotify.told
            // What is behind the name of the overflow event is not looked at: it has none.
            let text = number(length) == 0 ? [] : try read(event &+ UInt64(name), Int(number(length)))
            let padded = text.isEmpty ? [] : text + [UInt8](repeating: 0, count: 16 - text.count % 16)
            for word in [number(watch), told, number(cookie), UInt32(padded.count)] {
                for shift in stride(from: UInt32(0), to: 32, by: 8) { events.append(UInt8(truncatingIfNeeded: word >> shift)) }
            }
            events += padded
            entry = littleEndian8(bytes, at: link + next)
        }
        throw SystemError(E2BIG, in: "read the events of an inotify")
    }

    /// More than 16384 wait only where root has raised `fs.inotify.max_queued_events`.
    private static let mostEvents = 100_000
}

extension Inotify {
    /// What read(2) tells of an event's mask. Source: fs/notify/inotify/inotify_user.c, `inotify_mask_to_arg`.
    fileprivate static let told: UInt32 = 0xfff | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ISDIR
}
