internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Regular files and directories that are opened again by name.
enum NamedFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool {
        // O_PATH names anything: a symbolic link, a socket, a device.
        sight.status.kind == .directory || sight.isFoundByName && (sight.status.kind == .regular || sight.isPathOnly)
    }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        for index in sights.indices {
            let sight = sights[index]
            if !sight.isFoundByName && !sight.isRemoved { sights[index].lookForMount() }
            guard sight.status.kind == .regular, sight.info.value.openFlags & OpenFlag.O_ACCMODE != OpenFlag.O_RDONLY, !sight.isPathOnly,
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
        return .object(.named(object))
    }

    /// A file that its name does not lead to.
    static func lost(_ sight: OpenFileSight, _ recorder: FileRecorder) -> Captured {
        if sight.failure != nil { return .refused("leads to a file that " + LostName.tooLong, help: LostName.tooLongHelp) }
        let lost = LostName(
            sight.target.bytes, inode: sight.status.inode, isMounted: sight.details["unmounted"] == nil,
            found: recorder.status(ofName: sight.target.bytes))
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
