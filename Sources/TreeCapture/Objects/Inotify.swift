internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// inotify_init(2): watches of files and directories, each under its number.
///
/// Details: `path0`, `path1`, ... for each watch that `fdinfo` lists: a name that leads to what it watches; or `file0`, ...:
/// the place of an open file of it, which has no name. `device0`, ...: the device and inode that stat(2) tells. `waiting`: bytes of
/// events that have not been read; `events`: what read(2) would give of them, or `unread`: why the kernel's memory does not tell.
enum InotifyFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.target == "anon_inode:inotify" }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        for index in sights.indices {
            let sight = sights[index]
            for (place, watch) in try InotifyState(sight.info.value).watches.enumerated() {
                if let path = Self.path(of: watch, in: sight, &tree) {
                    sights[index].details["path\(place)"] = RawText(path)
                } else if let file = tree.sight.files.firstIndex(where: { Self.isOpen(watch, $0) }) {
                    sights[index][number: "file\(place)"] = UInt64(file + 1)
                }
            }
            do throws(SystemError) {
                let waiting = try InotifyState.waiting(of: sight.holder.rawValue, descriptor: sight.number)
                if waiting != 0 { sights[index][number: "waiting"] = UInt64(waiting) }
                if waiting != 0 { Self.lookAtEvents(&sights[index], &tree) }
            } catch { sights[index].fail(error) }
        }
    }

    /// Events cannot be looked at without taking them, but by reading the kernel's memory.
    private static func lookAtEvents(_ sight: inout OpenFileSight, _ tree: inout TreeLook) {
        do throws(SystemError) {
            let events = try tree.kernelReader().inotifyEvents(of: sight.holder.rawValue, descriptor: sight.number)
            sight.details["events"] = RawText(events)
        } catch { sight.details["unread"] = RawText(Array(error.name.utf8)) }
    }

    /// An open file of what is watched that has no name.
    private static func isOpen(_ watch: InotifyState.Watch, _ file: OpenFileSight) -> Bool {
        file.status.inode == watch.inode && file.status.device.majorNumber == watch.major && file.status.device.minorNumber == watch.minor
            && file.status.kind == .regular && !file.isFoundByName
    }

    /// A name that leads to what is watched: that which the kernel has for it, or one in the directories that the tree uses.
    private static func path(of watch: InotifyState.Watch, in sight: OpenFileSight, _ tree: inout TreeLook) -> [UInt8]? {
        var identity: FileStatus?
        if let handle = watch.handle {
            for found in HandledFile.find(handle, major: watch.major, minor: watch.minor, asSeenBy: sight.holder.rawValue) {
                if tree.names.look(found.path)?.isSameFile(as: found.status) == true { return found.path }
                identity = found.status
            }
            if let identity, identity.linkCount == 0 { return nil }
        }
        func isWatched(_ status: FileStatus) -> Bool {
            if let identity { return status.isSameFile(as: identity) }
            return status.inode == watch.inode
        }
        var directories: [[UInt8]] = []
        for file in tree.sight.files where file.isFoundByName && (file.status.kind == .regular || file.status.kind == .directory) {
            if isWatched(file.status) { return file.target.bytes }
            directories.append(file.status.kind == .directory ? file.target.bytes : file.target.bytes.parentDirectory)
        }
        for one in tree.sight.directories {
            for place in [one.working, one.root] where !place.isDeleted {
                if isWatched(place.status) { return place.path.bytes }
                directories.append(place.path.bytes)
            }
        }
        var seen: Set<[UInt8]> = []
        for directory in directories where seen.insert(directory).inserted {
            let any = directory + (directory.last == UInt8(ascii: "/") ? [] : [UInt8(ascii: "/")])
            if let name = tree.names.otherName(of: identity?.inode ?? watch.inode, on: identity?.device, besides: any) { return name }
        }
        return nil
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        guard let watches = try? InotifyState(sight.info.value).watches else {
            return .refused("is an inotify instance whose watches this kernel does not tell", help: "close it before the checkpoint")
        }
        if let failure = sight.failure { return .refused("is an inotify instance that cannot be looked into: \(failure.errno)", help: failure.call) }
        var object = ImageInotify()
        if let waiting = sight[number: "waiting"] {
            let text = "is an inotify instance with \(waiting) bytes of events that have not been read"
            guard let events = sight.details["events"] else {
                return .refused(
                    text + ", which only the kernel's memory tells: \(sight.details["unread"]?.shown ?? "not asked")",
                    help: "try again when the program has read them, or be root (CAP_BPF and CAP_PERFMON are needed)")
            }
            object.events = Self.events(events.bytes)
            if object.happenings == nil {
                return .refused(
                    text + " and that cannot be made to happen again, such as half of a rename or an unmounted file system",
                    help: "try again when the program has read them")
            }
        }
        for (place, watch) in watches.enumerated() {
            if isOwnDoing(watch.mask) {
                let first = recorder.places[id - 1].prefix(1)
                recorder.find(
                    first, "is an inotify instance that waits for one access (IN_ONESHOT) to \(sight.details["path\(place)"]?.shown ?? "a file"), which a restart would be",
                    help: "let the program remove watch \(watch.number)")
            }
            var record = ImageWatch()
            record.number = watch.number
            record.mask = watch.mask
            if let path = sight.details["path\(place)"], let identity = recorder.identity(ofName: path.bytes, in: sight.mountNamespace) {
                record.file = identity
            } else if let file = sight[number: "file\(place)"] {
                record.openFile = UInt32(truncatingIfNeeded: file)
            } else {
                let first = recorder.places[id - 1].prefix(1)
                recorder.find(
                    first, "is an inotify instance whose watch \(watch.number) is of a file without a name that can be found (inode \(watch.inode) of device \(watch.major):\(watch.minor))",
                    help: "let the program remove that watch (inotify_rm_watch), or checkpoint it with its working directory where the file is")
                continue
            }
            object.watches.append(record)
        }
        return .object(.inotify(object))
    }

    /// What read(2) gave.
    static func events(_ bytes: [UInt8]) -> [ImageWaitingEvent] {
        var events: [ImageWaitingEvent] = []
        var rest = bytes[...]
        while rest.count >= 16 {
            func number(_ word: Int) -> UInt32 {
                rest[(rest.startIndex + 4 * word)..<(rest.startIndex + 4 * word + 4)].reversed().reduce(0) { $0 << 8 | UInt32($1) }
            }
            let length = Int(number(3))
            guard rest.count >= 16 + length else { break }
            var event = ImageWaitingEvent()
            (event.watch, event.mask, event.cookie) = (Int32(bitPattern: number(0)), number(1), number(2))
            event.name = Array(rest.dropFirst(16).prefix(length).prefix { $0 != 0 }).asData
            events.append(event)
            rest = rest.dropFirst(16 + length)
        }
        return events
    }

    /// Whether a restart, which opens files, could use up a watch for one event.
    private static func isOwnDoing(_ mask: UInt32) -> Bool {
        let own = Inotify.IN_OPEN | Inotify.IN_ACCESS | Inotify.IN_CLOSE_NOWRITE | Inotify.IN_CLOSE_WRITE
        return mask & Inotify.IN_ONESHOT != 0 && mask & own != 0
    }

    /// Open files that cannot be saved have findings of their own: their watches go.
    static func finish(_ recorder: inout FileRecorder) {
        let saved = Set(recorder.records.openFiles.map(\.id))
        for index in recorder.records.openFiles.indices {
            guard case .inotify(var object)? = recorder.records.openFiles[index].object else { continue }
            object.watches.removeAll { $0.openFile != 0 && !saved.contains($0.openFile) }
            recorder.records.openFiles[index].object = .inotify(object)
        }
    }
}

extension [UInt8] {
    /// Of an absolute path, without the slash at its end.
    fileprivate var parentDirectory: [UInt8] {
        guard let slash = lastIndex(of: UInt8(ascii: "/")), slash > 0 else { return [UInt8(ascii: "/")] }
        return Array(self[..<slash])
    }
}
