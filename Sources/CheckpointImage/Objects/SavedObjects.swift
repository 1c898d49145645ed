extension ImageOpenFile {
    /// The table of the kinds of open files: what is in the `oneof` of `file.proto`. Nil where an image holds none.
    package var saved: (any SavedObject)? {
        switch object {
        case .named(let one)?: one
        case .nameless(let one)?: one
        case .pipeEnd(let one)?: one
        case .device(let one)?: one
        case .outside(let one)?: one
        case .event(let one)?: one
        case .signal(let one)?: one
        case .timer(let one)?: one
        case .epoll(let one)?: one
        case .proc(let one)?: one
        case .fifo(let one)?: one
        case .inotify(let one)?: one
        case .pid(let one)?: one
        case .terminal(let one)?: one
        case .queue(let one)?: one
        case .unix(let one)?: one
        case .tcp(let one)?: one
        case .inet(let one)?: one
        case .packet(let one)?: one
        case .netlink(let one)?: one
        case .external(let one)?: one
        case nil: nil
        }
    }

    /// The object of the open file, in words.
    package func summary(in image: CheckpointImage) -> String {
        (saved?.summary(in: image) ?? "open file \(id)") + locks.map { ", holds \($0.words)" }.joined()
    }
}
