package import CheckpointImage
internal import LinuxABI

/// How the queue of an inotify is filled: see `InotifyStage`.
package struct InotifyQueuePlan: Equatable, Sendable {
    /// What is made to happen before and behind the IN_Q_OVERFLOW.
    package var before: [ImageInotify.Happening]
    package var behind: [ImageInotify.Happening]
    /// Events of 16 bytes at the front, and how many of them are read away to make room for what comes behind the overflow.
    package var fillers: Int
    package var readEarly: Int
    /// A number for their watch that no event has.
    package var filler: Int32
    /// Bytes of all events at the end, and of those at the front that are not the program's.
    package var bytes: Int
    package var front: Int

    /// Above, filling takes too long.
    static let most = 1 << 20

    /// Nil: the queue holds too few events, or too many.
    ///
    /// - Parameter most: `fs.inotify.max_queued_events`.
    package init?(_ inotify: ImageInotify, most: Int) {
        guard let parts = inotify.parts, most <= Self.most else { return nil }
        (before, behind) = (parts.before, parts.behind)
        let (first, last) = (Self.count(before), Self.count(behind))
        fillers = most - first
        readEarly = last == 0 ? 0 : last + 1
        guard fillers >= max(readEarly, 1) else { return nil }
        let used = Set(inotify.events.map(\.watch))
        filler = (1...Int32.max).first { !used.contains($0) } ?? 1
        front = (fillers - readEarly + (parts.overflows ? 0 : 1)) * 16
        bytes = front + inotify.events.reduce(0) { $0 + $1.size }
    }

    private static func count(_ happenings: [ImageInotify.Happening]) -> Int {
        happenings.reduce(0) { count, happening in
            switch happening {
            case .single: count + 1
            case .rename, .end: count + 2
            }
        }
    }
}

extension CheckpointImage {
    /// Ids of the inotify instances that are made with events in their queues.
    package var inotifiesWithEvents: [UInt32] {
        openFiles.compactMap { file in
            guard case .inotify(let inotify)? = file.object, !inotify.events.isEmpty else { return nil }
            return file.id
        }
    }
}
