import CheckpointImage
import LinuxABI
import StepProgram

/// Opening files by name. The tree's user can have changed what the names lead to since the checkpoint, and steps run with
/// the rights of crrestart: see ``FileDoor``.
extension PlanBuilder {
    /// Opens a file by its name, at the lowest free descriptor.
    ///
    /// - Parameter seen: its path as seen from another root directory; nil: that of the request.
    /// - Returns: the step whose result is the descriptor.
    mutating func open(_ program: inout Program, _ request: FileRequest, seen place: [UInt8]? = nil, flags: UInt64) -> Int {
        func note() -> String { request.path.asData.asText }
        let flags = flags | Self.cloexec | UInt64(OpenFlag.O_NOCTTY)
        let isPathOnly = flags & UInt64(OpenFlag.O_PATH) != 0
        // openat2 refuses flags beside O_PATH that this ignores.
        let kept = UInt64(OpenFlag.O_PATH | OpenFlag.O_DIRECTORY | OpenFlag.O_NOFOLLOW) | Self.cloexec
        let pathFlags = flags & kept | (request.isLink ? UInt64(OpenFlag.O_NOFOLLOW) : 0)
        guard facts.door(request) == .asIdentified else {
            takeRights(&program, request.rights)
            let opened = open(
                &program, place ?? request.path, flags: isPathOnly ? pathFlags : flags, resolve: Resolve.RESOLVE_NO_SYMLINKS, note())
            giveBackRights(&program, request.rights)
            return opened
        }
        // Looking at a file by O_PATH has no effect on it, whatever it is.
        let seen = open(
            &program, place ?? request.path, flags: isPathOnly ? pathFlags : UInt64(OpenFlag.O_PATH) | Self.cloexec, resolve: 0, note())
        checkIdentity(&program, of: seen, request)
        if isPathOnly { return seen }
        let number = Step.Argument.number(scratchDescriptor)
        program.call(.dup3, [.result(of: seen), number, .value(Self.cloexec)])
        program.call(.close, [.result(of: seen)])
        // O_NOFOLLOW would refuse this name, which is a link.
        let opened = program.call(
            .openat,
            [
                .value(At.AT_FDCWD), path(Array("/proc/self/fd/\(scratchDescriptor)".utf8)),
                .value(flags & ~UInt64(OpenFlag.O_NOFOLLOW)), 0,
            ], note())
        program.call(.close, [number])
        return opened
    }

    /// One openat2(2).
    mutating func open(_ program: inout Program, _ name: [UInt8], flags: UInt64, resolve: UInt64, _ note: @autoclosure () -> String) -> Int {
        program.call(.openat2, [.value(At.AT_FDCWD), path(name), openHow(flags, resolve), 24], note())
    }

    /// `struct open_how`: flags, mode, resolve.
    mutating func openHow(_ flags: UInt64, _ resolve: UInt64) -> Step.Argument {
        var bytes: [UInt8] = []
        for word in [flags, 0, resolve] { bytes.append(littleEndian: word) }
        return data(bytes)
    }

    /// Fails unless an open file has the device and inode of the checkpoint. FUTEX_CMP_REQUEUE compares a word with a value:
    /// `EAGAIN` where they differ; it moves no file position.
    private mutating func checkIdentity(_ program: inout Program, of descriptor: Int, _ request: FileRequest) {
        let room = identityRoom ?? room(Statx.size)
        identityRoom = room
        program.call(
            .statx, [.result(of: descriptor), path([]), .value(At.AT_EMPTY_PATH), .number(Statx.STATX_INO), .value(room)])
        // Source: linux/kdev_t.h, `new_encode_dev`; sys/sysmacros.h.
        let major = request.device >> 8 & 0xfff | request.device >> 32 & ~0xfff
        let minor = request.device & 0xff | request.device >> 12 & ~0xff
        let words = [
            (Statx.inode, request.inode & 0xffff_ffff), (Statx.inode + 4, request.inode >> 32),
            (Statx.deviceMajor, major & 0xffff_ffff), (Statx.deviceMinor, minor & 0xffff_ffff),
        ]
        let compare = Futex.FUTEX_CMP_REQUEUE | Futex.FUTEX_PRIVATE_FLAG
        for (offset, value) in words {
            program.call(
                .futex, [.value(room + UInt64(offset)), .value(compare), 0, 0, .value(room), .value(value)], check: .equals(0),
                "still the file of the checkpoint")
        }
    }

    // MARK: - Rights

    /// Takes the rights of a task for a few steps. Each change is checked: the kernel tells nothing when it refuses one.
    ///
    /// - Source: setfsuid(2); capabilities(7).
    mutating func takeRights(_ program: inout Program, _ rights: FileRights) {
        change(&program, from: FileRights(facts.ownCredentials), to: rights)
    }

    mutating func giveBackRights(_ program: inout Program, _ rights: FileRights) {
        change(&program, from: rights, to: FileRights(facts.ownCredentials))
    }

    private mutating func change(_ program: inout Program, from old: FileRights, to new: FileRights) {
        guard new != old else { return }
        let own = facts.ownCredentials
        if new.groups != old.groups {
            var list: [UInt8] = []
            for group in new.groups { list.append(littleEndian32: group) }
            program.call(.setgroups, [.number(new.groups.count), list.isEmpty ? 0 : data(list)])
        }
        let none = Step.Argument.signed(-1)
        if new.group != old.group {
            program.call(.setfsgid, [.number(new.group)], check: .equals(Int64(old.group)))
            program.call(.setfsgid, [none], check: .equals(Int64(new.group)))
        }
        if new.user != old.user {
            program.call(.setfsuid, [.number(new.user)], check: .equals(Int64(old.user)))
            program.call(.setfsuid, [none], check: .equals(Int64(new.user)))
        }
        // A change of the user has added or removed some.
        capabilities(
            &program, effective: (new.capabilities | own.effective & FileRights.kept) & own.permitted, permitted: own.permitted,
            inheritable: own.inheritable)
    }
}
