internal import LinuxABI

/// The events that wait in an inotify. A restart makes them happen again, each on a file or directory made for that, so they
/// have to be what a file or directory can cause.
extension ImageInotify {
    /// What happens to a file of its own, as one step of a restart.
    package enum Happening: Equatable, Sendable {
        /// One event, by its place.
        case single(Int)
        /// Both events of a rename, one behind the other.
        case rename(from: Int, to: Int)
        /// IN_DELETE_SELF and the IN_IGNORED behind it.
        case end(Int)
    }

    /// What is to happen, in order, without an IN_Q_OVERFLOW; nil: not all of that can be made to happen.
    package var happenings: [Happening]? {
        let directories = eventDirectories
        var all: [Happening] = []
        var place = 0
        while place < events.count {
            guard isPossible(place, directories) else { return nil }
            let event = events[place]
            let next = place + 1 < events.count ? events[place + 1] : nil
            switch event.kind {
            case Inotify.IN_MOVED_FROM where next?.kind == Inotify.IN_MOVED_TO && next?.cookie == event.cookie:
                guard isPossible(place + 1, directories), next?.isDirectory == event.isDirectory else { return nil }
                all.append(.rename(from: place, to: place + 1))
                place += 1
            case Inotify.IN_DELETE_SELF:
                guard next?.kind == Inotify.IN_IGNORED, next?.watch == event.watch else { return nil }
                all.append(.end(place))
                place += 1
            case Inotify.IN_Q_OVERFLOW: break
            default: all.append(.single(place))
            }
            place += 1
        }
        return overflows.count <= 1 && areMovesWhole(all) ? all : nil
    }

    /// Places of IN_Q_OVERFLOW.
    private var overflows: [Int] { events.indices.filter { events[$0].kind == Inotify.IN_Q_OVERFLOW } }

    /// What happened before and behind the IN_Q_OVERFLOW. Without one, all is behind.
    package var parts: (before: [Happening], behind: [Happening], overflows: Bool)? {
        guard let all = happenings else { return nil }
        guard let overflow = overflows.first else { return ([], all, false) }
        func isBefore(_ happening: Happening) -> Bool {
            switch happening { case .single(let place), .rename(let place, _), .end(let place): place < overflow }
        }
        return (all.filter(isBefore), all.filter { !isBefore($0) }, true)
    }

    /// Watches that are of directories, as far as their events tell.
    package var eventDirectories: Set<Int32> { Set(events.lazy.filter { !$0.name.isEmpty || $0.isDirectory }.map(\.watch)) }

    /// A rename has one cookie and at most two events. The first event that waits could be the second half of a rename whose
    /// first the program has read: its cookie would be another one.
    private func areMovesWhole(_ all: [Happening]) -> Bool {
        if let first = events.first, first.kind == Inotify.IN_MOVED_TO { return false }
        var cookies: Set<UInt32> = []
        for happening in all {
            switch happening {
            case .single(let place), .rename(let place, _):
                let event = events[place]
                guard event.kind == Inotify.IN_MOVED_FROM || event.kind == Inotify.IN_MOVED_TO else { continue }
                guard event.cookie != 0, cookies.insert(event.cookie).inserted else { return false }
            case .end: continue
            }
        }
        return true
    }

    private func isPossible(_ place: Int, _ directories: Set<Int32>) -> Bool {
        let event = events[place]
        if event.kind == Inotify.IN_Q_OVERFLOW { return event.watch == -1 && event.mask == event.kind && event.name.isEmpty }
        guard event.watch > 0, event.cookie == 0 || event.kind == Inotify.IN_MOVED_FROM || event.kind == Inotify.IN_MOVED_TO else { return false }
        let isOfDirectory = directories.contains(event.watch)
        switch event.kind {
        case Inotify.IN_OPEN, Inotify.IN_ACCESS, Inotify.IN_CLOSE_NOWRITE, Inotify.IN_ATTRIB:
            return event.isNameOrNone && (!event.name.isEmpty || event.isDirectory == isOfDirectory)
        case Inotify.IN_MODIFY, Inotify.IN_CLOSE_WRITE:
            return event.isNameOrNone && !event.isDirectory && (!event.name.isEmpty || !isOfDirectory)
        case Inotify.IN_CREATE, Inotify.IN_DELETE, Inotify.IN_MOVED_FROM, Inotify.IN_MOVED_TO:
            return event.isNameOrNone && !event.name.isEmpty
        case Inotify.IN_DELETE_SELF, Inotify.IN_MOVE_SELF, Inotify.IN_IGNORED:
            return event.name.isEmpty && !event.isDirectory
        default: return false
        }
    }
}

extension ImageWaitingEvent {
    /// Without IN_ISDIR.
    package var kind: UInt32 { mask & ~Inotify.IN_ISDIR }
    package var isDirectory: Bool { mask & Inotify.IN_ISDIR != 0 }

    /// Bytes that read(2) gives for it: a name has one zero at least, and is filled up to 16.
    package var size: Int { 16 + (name.isEmpty ? 0 : (name.count / 16 + 1) * 16) }

    fileprivate var isNameOrNone: Bool {
        name.count <= 255 && !name.contains(0) && !name.contains(UInt8(ascii: "/")) && !name.elementsEqual(".".utf8) && !name.elementsEqual("..".utf8)
    }
}
