internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Signals that open files send: who gets them (F_SETOWN), which ones (F_SETSIG), whether any are sent (O_ASYNC).
///
/// Details of a file: `owner`, the number of a task or group in the pid namespace of crcheckpoint; `ownerType`; `signal`; `ownerErrno`,
/// where the kernel refused to tell.
extension OpenFileSight {
    /// Asks the kernel for the owner of a file, where that cannot disturb a program.
    mutating func lookAtOwner(_ types: FileSystemTypes) {
        guard Self.mayBeAsked(status, types), info.value.flags & OpenFlag.O_PATH == 0 else { return }
        let owner: FileOwnerState
        do throws(SystemError) {
            guard let found = try FileOwnerState.read(of: holder.rawValue, descriptor: number) else { return }
            owner = found
        } catch {
            // In a dry run the program goes on: it can have closed the file, or have ended.
            if error.number != Errno.EBADF && !error.isGone { details["ownerErrno"] = RawText(error.name) }
            return
        }
        if owner.number != 0 {
            self[number: "owner"] = UInt64(owner.number)
            self[number: "ownerType"] = UInt64(owner.type)
        }
        if owner.signal != 0 { self[number: "signal"] = UInt64(owner.signal) }
    }

    private static func mayBeAsked(_ status: FileStatus, _ types: FileSystemTypes) -> Bool {
        switch status.kind {
        case .regular, .directory, .link, .blockDevice: types.isQuiet(status.device)
        case .characterDevice: status.isTerminal || status.specialDevice.majorNumber == DeviceMajor.MEM_MAJOR
        case .pipe, .socket, .anonymous: true
        }
    }
}

extension FileRecorder {
    /// Records who gets the signals of a file.
    ///
    /// - Returns: why that cannot be saved, if so.
    func recordOwner(_ file: OpenFileSight, _ id: Int, in record: inout ImageOpenFile) -> Refusal? {
        if let signal = file[number: "signal"] { record.ownerSignal = UInt32(truncatingIfNeeded: signal) }
        let isAsync = file.info.value.openFlags & OpenFlag.FASYNC != 0
        let name = file.target.shown
        if let errno = file.details["ownerErrno"] {
            return Refusal("cannot be asked who gets the signals of \(name): \(errno.shown)", help: "be root, or the user of the program")
        }
        guard let number = file[number: "owner"] else {
            guard isAsync else { return nil }
            return Refusal(
                "sends signals (O_ASYNC) for \(name) to a process that has ended or cannot be asked for",
                help: "let the program set the owner (F_SETOWN) or switch them off")
        }
        let host = HostPid(Int32(truncatingIfNeeded: number))
        let type = UInt64(truncatingIfNeeded: file[number: "ownerType"] ?? Fcntl.F_OWNER_PID)
        if file.status.kind == .directory {
            return Refusal(
                "watches the directory \(name) by F_NOTIFY, and the kernel does not tell for which events",
                help: "close it before the checkpoint; inotify is its successor")
        }
        var owner = ImageFileOwner()
        owner.type = UInt32(truncatingIfNeeded: type)
        let translated: UInt32?
        switch type {
        case Fcntl.F_OWNER_TID:
            let thread = numbers.thread(host)
            let holders = Set(places[id - 1].map { numbers.process($0.process) ?? 0 })
            if let thread, !holders.contains(thread.process) {
                return Refusal("sends the signals of \(name) to thread \(number) of a process that does not have it open, which cannot be saved yet")
            }
            translated = thread?.number
        case Fcntl.F_OWNER_PGRP: translated = numbers.group(host)
        default: translated = numbers.process(host)
        }
        guard let translated else {
            // The terminal of a shell outside has an owner of the shell's, which is none of the tree's business.
            if case .outside? = record.object, !isAsync {
                record.ownerSignal = 0
                return nil
            }
            return Refusal(
                "sends the signals of \(name) to \(type == Fcntl.F_OWNER_PGRP ? "process group" : "process") \(number), which is outside of the tree",
                help: "checkpoint a tree that holds both, or let the program clear the owner (F_SETOWN 0)")
        }
        owner.number = translated
        record.owner = owner
        return nil
    }
}
