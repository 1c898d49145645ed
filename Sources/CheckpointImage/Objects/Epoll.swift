/// epoll_create(2): its registrations, each of an open file and the descriptor by which it was registered.
extension ImageEpoll: SavedObject {
    /// EPOLLEXCLUSIVE goes with these alone: IN, OUT, ERR, HUP, WAKEUP, ET. Source: epoll_ctl(2).
    private static let exclusive: UInt32 = 1 << 28
    private static let withExclusive: UInt32 = 1 | 4 | 8 | 0x10 | 1 << 29 | 1 << 31 | exclusive

    package var references: [ObjectReference] { registrations.map { .openFile($0.file) } }

    /// A registration lasts longer than the descriptor under which it was made: its number can be in no file table.
    package var momentaryNumbers: [UInt32] { registrations.map(\.number) }

    package func check(_ rules: RuleContext) throws(ImageError) {
        var seen: Set<UInt64> = []
        for one in registrations {
            try rules.require(one.number < ImageLimits.descriptors, .descriptorRange)
            try rules.require(seen.insert(UInt64(one.file) << 32 | UInt64(one.number)).inserted, .epollTwice)
            try rules.require(one.events & Self.exclusive == 0 || one.events & ~Self.withExclusive == 0, .epollEvents)
        }
    }

    package func summary(in image: CheckpointImage) -> String {
        "epoll of " + (registrations.isEmpty ? "nothing" : registrations.map { String($0.number) }.joined(separator: ", "))
    }
}

extension ImageLookup {
    /// Epolls can watch each other, but not in a circle.
    ///
    /// - Precondition: every registration's file exists.
    func validateNesting(of files: [ImageOpenFile]) throws(ImageError) {
        // Removes epolls that watch no remaining epoll, until there is none to remove. What remains is a circle.
        var watchers: [UInt32: [UInt32]] = [:]
        var watched: [UInt32: Int] = [:]
        func isEpoll(_ file: ImageOpenFile) -> Bool { if case .epoll? = file.object { true } else { false } }
        for file in files where isEpoll(file) {
            let inner = file.epoll.registrations.filter { openFile[$0.file].map { isEpoll(files[$0]) } == true }
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
