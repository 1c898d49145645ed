/// Rules of an epoll.
extension ImageLookup {
    /// EPOLLEXCLUSIVE goes with these alone: IN, OUT, ERR, HUP, WAKEUP, ET. Source: epoll_ctl(2).
    private static let exclusive: UInt32 = 1 << 28
    private static let withExclusive: UInt32 = 1 | 4 | 8 | 0x10 | 1 << 29 | 1 << 31 | exclusive

    func validate(_ epoll: ImageEpoll, of id: UInt32, _ subject: @autoclosure () -> String) throws(ImageError) {
        var seen: Set<UInt64> = []
        for one in epoll.registrations {
            try require(one.number < ImageLimits.descriptors, .descriptorRange, subject())
            try require(openFile[one.file] != nil, .noOpenFile, "fd \(one.number) watched by \(subject())")
            try require(seen.insert(UInt64(one.file) << 32 | UInt64(one.number)).inserted, .epollTwice, subject())
            try require(
                one.events & Self.exclusive == 0 || one.events & ~Self.withExclusive == 0, .epollEvents, subject())
        }
    }

    /// An epoll may watch another one, but in no circle.
    ///
    /// - Preconditions: every registration's file exists.
    func validateNesting(of files: [ImageOpenFile]) throws(ImageError) {
        // Takes away, again and again, those that watch no epoll that is left: a circle stays.
        var watchers: [UInt32: [UInt32]] = [:]
        var watched: [UInt32: Int] = [:]
        for file in files where file.kind == .epoll {
            let inner = file.epoll.registrations.filter { openFile[$0.file].map { files[$0].kind } == .epoll }
            watched[file.id] = inner.count
            for one in inner { watchers[one.file, default: []].append(file.id) }
        }
        var free = watched.filter { $0.value == 0 }.map(\.key)
        while let next = free.popLast() {
            watched[next] = nil
            for watcher in watchers[next] ?? [] {
                guard let left = watched[watcher] else { continue }
                watched[watcher] = left - 1
                if left == 1 { free.append(watcher) }
            }
        }
        if let stuck = watched.keys.min() { throw .rule(.epollLoop, "open file \(stuck)") }
    }
}
