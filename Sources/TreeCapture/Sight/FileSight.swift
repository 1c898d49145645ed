internal import Kernel
internal import LinuxABI

/// Where a link of `/proc` leads.
struct PlaceSight: Codable, Sendable {
    /// Without the ` (deleted)` that the kernel appends.
    var path: RawText
    /// The file does not have this name any more.
    var isDeleted: Bool
    /// Of the file itself, whatever its name leads to now.
    var status: FileStatus
    /// The path has more than 4,096 bytes, which the kernel does not tell. `path` is empty.
    var isTooLong: Bool?
}

/// What a name leads to, as crcheckpoint sees it.
struct NameSight: Codable, Sendable {
    var path: RawText
    /// Nil: there is nothing.
    var status: FileStatus?
    /// Nothing can be said of it, because the user of crcheckpoint may not enter a directory of the path.
    var isRefused: Bool?
    /// Of programs and libraries; looked at where a task has the file mapped for execution.
    var buildID: RawText?
    /// CRC-32C of a file without a build-id of which a task has a private mapping, if it is not too large.
    var contents: UInt32?
    /// The memory object as which the image carries it.
    var object: Int?
}

/// A descriptor table.
struct TableSight: Codable, Sendable {
    /// A task that has it.
    var holder: HostPid
    var descriptors: [DescriptorSight]
}

struct DescriptorSight: Codable, Sendable {
    var number: Int32
    /// The open file that it leads to.
    var file: Int
    var isCloseOnExec: Bool
    /// File locks that are held through it, as `fdinfo` has them.
    var locks: [RawText]
}

/// An open file description: what open(2) makes, and dup(2) and fork(2) share.
struct OpenFileSight: Codable, Sendable {
    /// A task and a number under which it has it.
    var holder: HostPid
    var number: Int32
    /// `/proc/PID/fdinfo/N`
    var info: Seen<DescriptorInfo>
    /// `/proc/PID/fd/N`: a path, or e.g. `pipe:[4711]`, `anon_inode:[eventpoll]`. Of a path without the ` (deleted)`
    /// that the kernel appends.
    var target: RawText
    var status: FileStatus
    /// `target` is a name that leads to this file.
    var isFoundByName: Bool
    var mountNamespace: Int
    /// What only files of its kind have. Written by `DescriptorCapture.look` and read by `record`; nothing else reads it.
    var details: [String: RawText] = [:]

    subscript(number key: String) -> UInt64? {
        get { details[key]?.unsigned }
        set { details[key] = newValue.map { RawText($0) } }
    }

    /// The file has no name: it has been removed, or never had one.
    var isRemoved: Bool {
        get { details["removed"] != nil }
        set { details["removed"] = newValue ? "yes" : nil }
    }
    /// Opened by O_PATH: it names a file, and nothing can be done with that.
    var isPathOnly: Bool { info.value.openFlags & OpenFlag.O_PATH != 0 }

    /// Notes why the kernel did not tell what is needed.
    mutating func fail(_ error: SystemError) {
        details["errno"] = RawText(error.name)
        details["call"] = RawText(error.call)
    }

    /// What ``fail(_:)`` noted.
    var failure: (errno: String, call: String)? {
        details["errno"].map { ($0.shown, details["call"]?.shown ?? "") }
    }
}
