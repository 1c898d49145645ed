internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// Cuts files that grew since the checkpoint to the length that they had (`--files rollback`): right before the point of no
/// return, with the tree complete.
///
/// What is cut off is kept beside each file. If this process dies in between, the kept file has it.
final class FileCutter {
    private let plan: RestorePlan
    private var tails: [(cut: FileCut, tail: FileTail)] = []
    private static let mostNames = 1000

    init(_ tree: borrowing ForkedTree) { plan = tree.plan }

    /// - If it fails: every file is as it was.
    func run() throws(RestoreError) {
        do throws(RestoreError) {
            for cut in plan.valid.cuts {
                do throws(SystemError) { try run(cut) } catch {
                    throw RestoreError("cannot cut \(printable(cut.path)) to \(cut.size) bytes: \(error.name) (\(error.call); --files accept leaves it as it is)")
                }
            }
        } catch {
            putBack()
            throw error
        }
    }

    /// Undoes it, in case that something fails afterwards.
    func putBack() {
        for one in tails.reversed() { one.tail.putBack() }
        tails = []
    }

    /// What the user should know.
    var notices: [String] {
        tails.map { one in
            "\(printable(one.cut.path)): cut to its \(one.cut.size) bytes at the checkpoint; what was added since is in \(printable(one.tail.keptPath))"
        }
    }

    private func run(_ cut: FileCut) throws(SystemError) {
        let file = try open(cut)
        let status = try FileStatus(of: file)
        // Another name of a file that has been cut.
        if status.size == Int64(clamping: cut.size) { return }
        let isSame = status.kind == .regular && status.device == cut.device && status.inode == cut.inode
        guard isSame, let ends = try FileContents.ends(of: file, size: cut.size), ends.head == cut.contents.head, ends.tail == cut.contents.tail
        else { throw SystemError(Errno.ESTALE, in: "it has changed while the tree was made") }
        let made = try keeper(cut)
        let tail = FileTail(of: file, from: cut.size, in: Descriptor(owning: made.number), at: made.path)
        tails.append((cut, tail))
        try tail.copy()
        try FileTail.syncDirectory(of: made.path)
        try tail.cut()
    }

    private func open(_ cut: FileCut) throws(SystemError) -> Descriptor {
        let flags = OpenFlag.O_RDWR | OpenFlag.O_NONBLOCK
        if cut.isIdentified { return try Descriptor.open(cut.path, Int32(flags)) }
        return Descriptor(owning: try with(cut.rights) { () throws(SystemError) in try Descriptor.openWithoutLinks(cut.path, flags).release() })
    }

    /// A new file for what is cut off.
    private func keeper(_ cut: FileCut) throws(SystemError) -> (number: Int32, path: [UInt8]) {
        for attempt in 0..<Self.mostNames {
            let path = cut.keptPath(attempt)
            do throws(SystemError) {
                let made = try with(cut.rights) { () throws(SystemError) in
                    try Descriptor.openWithoutLinks(path, OpenFlag.O_RDWR | OpenFlag.O_CREAT | OpenFlag.O_EXCL, mode: 0o600).release()
                }
                return (made, path)
            } catch { if error.number != Errno.EEXIST { throw error } }
        }
        throw SystemError(Errno.EEXIST, in: "too many files \(printable(cut.keptPath(0))).N")
    }

    /// Opens something with the rights of a task.
    private func with(_ rights: FileRights, _ open: () throws(SystemError) -> Int32) throws(SystemError) -> Int32 {
        let own = plan.valid.facts.ownCredentials
        if rights == FileRights(own) { return try open() }
        var opened: Result<Int32, SystemError>?
        let kept = own.effective & FileRights.kept
        let borrowed = BorrowedRights(
            user: rights.user, group: rights.group, groups: rights.groups, effective: (rights.capabilities | kept) & own.permitted)
        try borrowed.use {
            do throws(SystemError) { opened = .success(try open()) } catch { opened = .failure(error) }
        }
        guard let opened else { throw SystemError(Errno.EPERM, in: "open") }
        return try opened.get()
    }
}
