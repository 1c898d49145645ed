/// The path that a link of `/proc` shows, with the decision whether the file still has that name.
///
/// The kernel appends ` (deleted)` to the path of a file that was unlinked. A file can have a name that ends
/// like this, so the text alone decides nothing: it is compared with what the name leads to now.
///
/// - Source: proc(5), `/proc/pid/fd`, `cwd`, `exe`, `map_files`; fs/d_path.c, `d_path`.
package struct KernelPath: Equatable, Sendable {
    /// Without the kernel's ` (deleted)`. What does not begin with `/` is no path, e.g. `pipe:[4711]`.
    package var bytes: [UInt8]
    /// The file does not have this name any more. It can have others: ``FileStatus/linkCount``.
    package var isDeleted: Bool

    package init(bytes: [UInt8], isDeleted: Bool) {
        self.bytes = bytes
        self.isDeleted = isDeleted
    }

    /// What tells one file from another.
    package struct Identity: Equatable, Sendable {
        /// Nil: not comparable. (`/proc/PID/maps` names the device of the super block, which stat(2) does not
        /// show for file systems such as btrfs and overlay.)
        package var device: UInt64?
        package var inode: UInt64
        /// Nil: not known.
        package var linkCount: UInt64?

        package init(device: UInt64?, inode: UInt64, linkCount: UInt64?) {
            self.device = device
            self.inode = inode
            self.linkCount = linkCount
        }

        package init(_ status: FileStatus) {
            self.init(device: status.device, inode: status.inode, linkCount: status.linkCount)
        }

        package func isThat(of status: FileStatus) -> Bool {
            inode == status.inode && (device == nil || device == status.device)
        }
    }

    package static let deletedSuffix = Array(" (deleted)".utf8)

    /// Decides what a link's text means.
    ///
    /// A text that ends in ` (deleted)` is, in this order:
    /// 1. a name, where that whole name leads to the file;
    /// 2. a name and the kernel's suffix, where the name without it leads to the file: it was unlinked and
    ///    linked again under the same name, so that it can be opened by it;
    /// 3. a name that the file does not have any more.
    ///
    /// - Parameters:
    ///   - text: what readlink(2) gave.
    ///   - object: the file that the link leads to.
    ///   - lookUp: what a path leads to now, links followed; nil where it leads nowhere.
    package init(link text: [UInt8], of object: Identity, lookUp: ([UInt8]) -> FileStatus?) {
        guard text.first == UInt8(ascii: "/"), text.count > Self.deletedSuffix.count,
            text.suffix(Self.deletedSuffix.count).elementsEqual(Self.deletedSuffix)
        else {
            self.init(bytes: text, isDeleted: false)
            return
        }
        let name = Array(text.dropLast(Self.deletedSuffix.count))
        if object.linkCount != 0 {
            if lookUp(text).map(object.isThat) == true {
                self.init(bytes: text, isDeleted: false)
                return
            }
            if lookUp(name).map(object.isThat) == true {
                self.init(bytes: name, isDeleted: false)
                return
            }
        }
        self.init(bytes: name, isDeleted: true)
    }
}

extension MemoryMap {
    /// The path of a mapped file, certain also where the text of `maps` can be read in two ways (``isPathAmbiguous``,
    /// ``isDeleted``): then the link in `map_files` is read, which shows the path unescaped. Where there is none
    /// (`CONFIG_PROC_FS` before 4.3, or no right to read it), the reading wins that leads to the file.
    ///
    /// - Precondition: the process still has this mapping; else the text alone decides.
    package func certainPath(of pid: Int32) -> KernelPath {
        guard path.first == UInt8(ascii: "/"), isPathAmbiguous || isDeleted else {
            return KernelPath(bytes: path, isDeleted: isDeleted)
        }
        let link = "/proc/\(pid)/map_files/" + String(start, radix: 16) + "-" + String(end, radix: 16)
        // Following the link wants a capability that reading it does not.
        let object =
            (try? FileStatus(of: link)).map { KernelPath.Identity($0) }
            ?? KernelPath.Identity(device: nil, inode: inode, linkCount: nil)
        return certainPath(link: try? readLink(link), of: object) { try? FileStatus(of: $0) }
    }

    /// - Parameter link: the text of the link in `map_files`; nil where it cannot be read.
    func certainPath(
        link: [UInt8]?, of object: KernelPath.Identity, lookUp: ([UInt8]) -> FileStatus?
    ) -> KernelPath {
        if let link { return KernelPath(link: link, of: object, lookUp: lookUp) }
        let suffix = isDeleted ? KernelPath.deletedSuffix : []
        let first = KernelPath(link: path + suffix, of: object, lookUp: lookUp)
        guard isPathAmbiguous, lookUp(first.bytes).map(object.isThat) != true else { return first }
        let second = KernelPath(link: escapingLineEnds(path) + suffix, of: object, lookUp: lookUp)
        return lookUp(second.bytes).map(object.isThat) == true ? second : first
    }
}
