internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI

/// Regular files and directories that are opened again by name.
enum NamedFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool {
        // O_PATH names anything: a symbolic link, a socket, a device.
        sight.status.kind == .directory || sight.isFoundByName && (sight.status.kind == .regular || sight.isPathOnly)
    }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        let isSeen = tree.watchesFiles
        for index in sights.indices {
            let sight = sights[index]
            if !sight.isFoundByName && !sight.isRemoved { sights[index].lookForMount() }
            if !isSeen { sights[index].lookAtEnds(tree) }
            guard sight.status.kind == .regular, sight.info.value.openFlags & OpenFlag.O_ACCMODE != OpenFlag.O_RDONLY, !sight.isPathOnly,
                // Opening it would break the lease of its holder.
                !sight.info.value.locks.contains(where: { FileLockState(parsing: $0)?.kind == .lease }),
                let attributes = try? FileAttributes(of: "/proc/\(sight.holder)/fd/\(sight.number)")
            else { continue }
            if attributes.isImmutable { sights[index].details["attribute"] = "i" }
            if attributes.isAppendOnly { sights[index].details["attribute"] = "a" }
        }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        guard let identity = recorder.identity(of: sight) else { return lost(sight, recorder) }
        let flags = sight.info.value.openFlags
        if let attribute = sight.details["attribute"], attribute == "i" || flags & OpenFlag.O_APPEND == 0 {
            let name = attribute == "i" ? "immutable" : "append-only"
            return .refused(
                "writes to \(sight.target.shown), which has become \(name) and could not be opened again like that",
                help: "chattr -\(attribute.shown) \(sight.target.shown)")
        }
        var object = ImageNamedFile()
        object.identity = identity
        object.identity.removed = sight.isRemoved
        if let head = sight[number: "head"], let tail = sight[number: "tail"] {
            object.contents.head = UInt32(truncatingIfNeeded: head)
            object.contents.tail = UInt32(truncatingIfNeeded: tail)
        }
        return .object(.named(object))
    }

    /// A file that its name does not lead to.
    static func lost(_ sight: OpenFileSight, _ recorder: FileRecorder) -> Captured {
        if sight.failure != nil { return .refused("leads to a file that " + LostName.tooLong, help: LostName.tooLongHelp) }
        let lost = LostName(
            sight.target.bytes, inode: sight.status.inode, isMounted: sight.details["unmounted"] == nil,
            name: recorder.name(sight.target.bytes))
        return .refused(lost.reason, help: lost.help)
    }
}

extension OpenFileSight {
    /// Whether the mount through which it was opened is there still, as its holder sees it.
    mutating func lookForMount() {
        guard let mounts = try? ProcText.mounts(of: holder.rawValue) else { return }
        if MountTable.mountPoint(of: info.value.mountID, in: mounts) == nil { details["unmounted"] = "yes" }
    }
}

extension OpenFileSight {
    /// Reads the beginning and the end of an output file, so that a restart can tell whether what is added later stands behind
    /// the same contents. Nothing is noted of a file that this process may not read, and of one whose reading could be seen or
    /// could wait: on a file system of another host or of a process, and with a lease.
    fileprivate mutating func lookAtEnds(_ tree: TreeLook) {
        let access = info.value.openFlags & OpenFlag.O_ACCMODE
        guard status.kind == .regular, isFoundByName, !isPathOnly, access != OpenFlag.O_RDONLY, tree.fileSystems.isStorage(status.device),
            !info.value.locks.contains(where: Self.isLease),
            let file = try? Descriptor.openToCopy(Array("/proc/\(holder)/fd/\(number)".utf8)),
            let ends = try? FileContents.ends(of: file, size: UInt64(max(0, status.size)))
        else { return }
        self[number: "head"] = UInt64(ends.head)
        self[number: "tail"] = UInt64(ends.tail)
    }

    private static func isLease(_ lock: [UInt8]) -> Bool { lock.split(separator: UInt8(ascii: " ")).contains { $0.elementsEqual("LEASE".utf8) } }
}

extension TreeLook {
    /// The tree would see in its own queue of events that its files are read.
    fileprivate var watchesFiles: Bool {
        sight.files.contains { $0.target.bytes.elementsEqual("anon_inode:inotify".utf8) || $0.target.bytes.elementsEqual("anon_inode:[fanotify]".utf8) }
    }
}
