internal import CKernel
internal import Glibc
internal import LinuxABI

/// A process that only holds descriptors, for as long as others live, and a record of what they are.
///
/// A note for each of those others, in a file of the user's, tells its number. Notes are hints: one that leads to no keeper is worth nothing,
/// and a keeper that none leads to is found among all processes of the host.
///
/// - Source: userfaultfd(2): tracking ends with the last descriptor.
package enum Keeper {
    /// The name of the process, by which it is looked for.
    private static let command = "crkeeper"
    private static let recordName = "crcheckpoint-track"
    private static let recordLink = Array("/memfd:crcheckpoint-track (deleted)".utf8)

    /// One that was found.
    package struct Found: Sendable {
        package var pid: Int32
        package var record: [UInt8]
    }

    /// Starts one. It has nothing else open, and any signal ends it.
    ///
    /// - Parameter handles: it ends when all of these processes have ended.
    package static func start(record: [UInt8], holding numbers: [Int32], until handles: ProcessHandles) throws(SystemError) {
        let file = try NamelessFile.memory(named: recordName)
        try file.write(record)
        let kept = [file.number] + numbers + handles.numbers
        let keeper = try StayingProcess.start(command, at: .forkTracker, keeping: kept, hearsSignals: true)
        if keeper == 0 { hold(until: handles) }
        for pid in handles.pids { KeeperNote(of: pid)?.write(keeper) }
    }

    /// The life of the keeper. Whatever ends it ends tracking with it, and nothing else.
    ///
    /// Does not return. (The optimiser of Swift 6.3.1 breaks down at a call of type `Never` in a function that owns descriptors.)
    @inline(never)
    private static func hold(until handles: ProcessHandles) {
        KeeperNote.removeStale()
        var living = Array(handles.pids.indices)
        while !living.isEmpty { living = handles.living(among: living, waiting: -1) }
        for pid in handles.pids { KeeperNote(of: pid)?.remove(of: Processes.ownPid) }
        Processes.exitNow(0)
    }

    /// The one that a note of a process leads to, if it can be trusted; nil: none.
    package static func noted(for process: Int32) -> Found? { KeeperNote(of: process)?.keeper.flatMap(trusted) }

    /// All that can be trusted. It takes a look at each process of the host.
    package static func all() throws(SystemError) -> [Found] { try allProcesses().compactMap(trusted) }

    /// One of this user, in this pid namespace: nothing else can be said in this user's name.
    private static func trusted(_ pid: Int32) -> Found? {
        guard isKeeper(pid), let users = (try? TaskStatus(of: pid))?.users, users == (try? TaskStatus(of: Processes.ownPid))?.users,
            let namespace = try? NamespaceLook.pid(of: pid), namespace == (try? NamespaceLook.pid(of: Processes.ownPid)),
            let number = try? descriptors(of: pid).first(where: { (try? readLink("/proc/\(pid)/fd/\($0)")) == recordLink }),
            let record = try? readFile("/proc/\(pid)/fd/\(number)")
        else { return nil }
        return Found(pid: pid, record: record)
    }

    private static func isKeeper(_ pid: Int32) -> Bool { (try? readFile("/proc/\(pid)/comm"))?.dropLast().elementsEqual(command.utf8) == true }

    /// Ends one, and with it all that it holds.
    ///
    /// Returns when it has ended, or after a second.
    package static func end(_ pid: Int32) {
        guard let handles = try? ProcessHandles([pid]), isKeeper(pid) else { return }
        try? handles.send(SIGKILL, to: 0)
        _ = handles.living(among: [0], waiting: 1000)
    }
}
