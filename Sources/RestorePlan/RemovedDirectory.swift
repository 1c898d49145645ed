import CheckpointImage
import LinuxABI
import StepProgram

/// A directory that was removed while a program was in it or had it open. Such a directory is empty and stays so.
///
/// One is made under a name that nothing else has, opened, and removed again, with the rights of the task that has it: where
/// the old one was, so that `..` leads where it did, or else in a directory for such things.
enum RemovedDirectory {
    private static let slash = UInt8(ascii: "/")

    /// Directories in which it can be made, the best one first.
    static func places(of identity: ImageFileIdentity) -> [[UInt8]] {
        let path = identity.path.asBytes
        let parent = path.lastIndex(of: slash).map { $0 == 0 ? [slash] : Array(path[..<$0]) } ?? [slash]
        return [parent, Array("/tmp".utf8), Array("/dev/shm".utf8)]
    }

    static func request(_ place: [UInt8], _ rights: FileRights) -> FileRequest { FileRequest(place, [.write, .execute], rights) }

    /// Nil: there is none here. Where the host was not asked, it is the first.
    static func place(of identity: ImageFileIdentity, _ rights: FileRights, _ facts: HostFacts) -> [UInt8]? {
        places(of: identity).first { place in
            if facts.refusals[request(place, rights)] != nil { return false }
            guard case .success(let file)? = facts.files[place] else { return facts.files[place] == nil }
            return file.mode & FileMode.S_IFMT == FileMode.S_IFDIR
        }
    }
}

extension PlanBuilder {
    /// Makes a removed directory.
    ///
    /// If the restart dies between making and removing it, an empty directory of this name is left; the next restart
    /// takes it.
    ///
    /// - Parameter enters: it becomes the working directory, too.
    /// - Returns: the step whose result is its descriptor.
    mutating func openRemoved(
        _ program: inout Program, _ identity: ImageFileIdentity, _ rights: FileRights, flags: UInt64, enters: Bool = false
    ) -> Int {
        let place = RemovedDirectory.place(of: identity, rights, facts) ?? [UInt8(ascii: "/")]
        // The address is that of no other data: threads of one process can do this at the same time.
        let name = path(Array(".treerestore-removed-\(image.header.root)-\(hex(room(1)))".utf8))
        let directory = UInt64(OpenFlag.O_DIRECTORY)
        takeRights(&program, rights)
        program.call(.umask, [0], check: .none)
        let parent = open(
            &program, place, flags: UInt64(OpenFlag.O_PATH) | directory, resolve: Resolve.RESOLVE_NO_SYMLINKS, "for a directory that was removed")
        // It can be there only if a restart was killed.
        program.call(
            .mkdirat, [.result(of: parent), name, .number(identity.mode & 0o7777 | 0o700)], check: .none, identity.path.asText)
        let how = openHow(flags | directory | Self.cloexec, Resolve.RESOLVE_NO_SYMLINKS | Resolve.RESOLVE_BENEATH)
        let made = program.call(.openat2, [.result(of: parent), name, how, 24], identity.path.asText)
        if enters { program.call(.fchdir, [.result(of: made)], "working directory \(identity.path.asText), which was removed") }
        program.call(.unlinkat, [.result(of: parent), name, .value(At.AT_REMOVEDIR)], "removed again")
        giveBackRights(&program, rights)
        program.call(.close, [.result(of: parent)])
        return made
    }
}
