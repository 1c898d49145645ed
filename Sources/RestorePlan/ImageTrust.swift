package import CheckpointImage

/// Who could have written what an image says. Root makes of it whatever it says: processes of any user, with any capability.
package struct ImageTrust: Sendable {
    /// Of the image's file.
    package var owner: UInt32
    package var group: UInt32
    /// Permission bits.
    package var mode: UInt32

    package init(owner: UInt32, group: UInt32, mode: UInt32) {
        self.owner = owner
        self.group = group
        self.mode = mode
    }

    /// What root should know before it restarts the image. Nil: only root can have written it, or it makes nothing that its owner could
    /// not have started.
    ///
    /// Other users need no warning: they can make nothing of an image that they could not have made themselves.
    package func warning(about name: String, holding image: CheckpointImage) -> String? {
        let writers = mode & 0o002 != 0 ? "every user" : mode & 0o020 != 0 ? "its group (\(group))" : nil
        if let writers {
            let bits = String(mode & 0o7777, radix: 8)
            return "image \(name) can be written by \(writers) (mode \(bits), owner \(owner)), and root makes processes of what it says"
        }
        guard owner != 0, let more = image.threads.first(where: { $0.credentials.isMore(than: owner) }) else { return nil }
        let what = more.credentials.permitted != 0 ? "with capabilities" : "of user \(more.credentials.effectiveUser)"
        return "image \(name) belongs to user \(owner), and root makes processes \(what) of what it says, for instance \(more.tid) \(more.name.asText)"
    }
}

extension ImageCredentials {
    /// Whether a task with these can do what this user cannot.
    fileprivate func isMore(than user: UInt32) -> Bool {
        permitted != 0 || [realUser, effectiveUser, savedUser, fileSystemUser].contains { $0 != user }
    }
}
