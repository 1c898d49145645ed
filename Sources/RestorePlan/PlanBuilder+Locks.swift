import CheckpointImage
import LinuxABI
import StepProgram

/// Locks of files. None of them is waited for: the image's locks do not exclude each other, and where a program outside
/// of the tree has got one meanwhile the restart fails.
extension PlanBuilder {
    /// Takes the locks that belong to the open files of a process. Leases come later, as nothing may open the file any more.
    mutating func takeLocks(_ program: inout Program, _ pid: UInt32) {
        for file in (graph.kept[pid] ?? []).compactMap({ image.openFile($0) }) {
            guard let number = graph.number[file.id] else { continue }
            for lock in file.locks {
                switch lock.kind {
                case .flock:
                    let operation = (lock.write ? Flock.LOCK_EX : Flock.LOCK_SH) | Flock.LOCK_NB
                    program.call(.flock, [.number(number), .value(operation)], "\(lock.words) on \(note(file))")
                case .openFile: setRange(&program, Fcntl.F_OFD_SETLK, lock, file, at: number)
                default: break
                }
            }
        }
    }

    mutating func takeLeases(_ program: inout Program, of file: ImageOpenFile, at number: UInt32) {
        for lock in file.locks where lock.kind == .lease {
            let type = lock.write ? LockType.F_WRLCK : LockType.F_RDLCK
            program.call(.fcntl, [.number(number), .value(Fcntl.F_SETLEASE), .number(UInt32(type))], lock.words)
        }
    }

    /// Takes the POSIX locks of a descriptor table.
    ///
    /// - Preconditions: the task has that table, and closes no descriptor of the locked files any more: the kernel drops all
    ///   locks of a table on a file when it closes any descriptor of that file.
    /// - Source: fcntl(2), "Record locks are automatically released".
    mutating func takePosixLocks(_ program: inout Program, _ table: ImageFileTable?) {
        guard let table, !table.locks.isEmpty else { return }
        let numbers = Dictionary(table.descriptors.map { ($0.file, $0.number) }) { first, _ in first }
        for lock in table.locks {
            guard let number = numbers[lock.file], let file = image.openFile(lock.file) else { continue }
            setRange(&program, Fcntl.F_SETLK, lock, file, at: number)
        }
    }

    /// `struct flock`: type and whence (16 bits each), start, length, pid.
    ///
    /// - Source: asm-generic/fcntl.h.
    private mutating func setRange(
        _ program: inout Program, _ operation: UInt64, _ lock: ImageFileLock, _ file: ImageOpenFile, at number: UInt32
    ) {
        let type = UInt64(UInt16(bitPattern: lock.write ? LockType.F_WRLCK : LockType.F_RDLCK))
        let structure = launchpad.add(words: [type, lock.start, lock.length, 0])
        program.call(.fcntl, [.number(number), .value(operation), .value(structure)], "\(lock.words) on \(note(file))")
    }
}
