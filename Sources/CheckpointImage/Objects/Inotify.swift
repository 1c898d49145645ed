/// inotify_init(2): what it watches, each under the number that the program knows it by.
extension ImageInotify: SavedObject {
    /// IN_ACCESS to IN_MOVE_SELF, IN_EXCL_UNLINK, IN_ONESHOT: what a watch keeps of its mask.
    private static let kept: UInt32 = 0xfff | 1 << 26 | 1 << 31

    package var references: [ObjectReference] { watches.filter { $0.openFile != 0 }.map { .openFile($0.openFile) } }
    package var namedFiles: [ImageFileIdentity] { watches.filter { $0.openFile == 0 }.map(\.file) }

    package func check(_ rules: RuleContext) throws(ImageError) {
        var last: Int32 = 0
        for watch in watches {
            try rules.require(watch.number > last, .watchNumbers)
            last = watch.number
            try rules.require(watch.mask & ~Self.kept == 0, .watchMask)
            if watch.openFile == 0 { try rules.requireFile(watch.file) }
        }
        try rules.require(happenings != nil, .watchEvents)
    }

    package func summary(in image: CheckpointImage) -> String {
        let waiting = events.isEmpty ? "" : ", \(events.count) events wait"
        return switch watches.count {
        case 0: "inotify of nothing" + waiting
        case 1...3: "inotify of " + watches.map { $0.name(in: image) }.joined(separator: ", ") + waiting
        default: "inotify of \(watches[0].name(in: image)) and \(watches.count - 1) more" + waiting
        }
    }
}

extension ImageWatch {
    /// What it watches, in words.
    package func name(in image: CheckpointImage) -> String {
        openFile == 0 ? file.path.asText : image.openFile(openFile)?.summary(in: image) ?? "open file \(openFile)"
    }
}
