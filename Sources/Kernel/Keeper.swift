internal import CKernel
internal import Glibc
internal import LinuxABI

/// A process that only holds descriptors, for as long as others live, and a record of what they are.
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

    /// Starts one. It leaves the session, and has nothing else open.
    ///
    /// - Parameter handles: it ends when all of these processes have ended.
    package static func start(record: [UInt8], holding numbers: [Int32], until handles: ProcessHandles) throws(SystemError) {
        let file = try NamelessFile.memory(named: recordName)
        try file.write(record)
        let null = try Descriptor.open("/dev/null", Int32(OpenFlag.O_RDWR))
        if try Processes.fork(at: .forkTracker) == 0 { hold([file.number] + numbers, null.number, until: handles) }
    }

    /// The life of the keeper. Whatever ends it ends tracking with it, and nothing else.
    ///
    /// Does not return. (The optimiser of Swift 6.3.1 breaks down at a call of type `Never` in a function that owns descriptors.)
    @inline(never)
    private static func hold(_ numbers: [Int32], _ null: Int32, until handles: ProcessHandles) {
        Processes.leaveSession()
        Processes.setName(command)
        for number: Int32 in 0...2 { _ = ckernel_syscall(Int(SYS_dup3), Int(null), Int(number), 0, 0, 0, 0) }
        DescriptorTable.closeAll(from: 3, but: Set((numbers + handles.numbers).map { UInt32(bitPattern: $0) }))
        _ = withPath("/") { ckernel_syscall(Int(SYS_chdir), $0, 0, 0, 0, 0, 0) }
        SignalMask.allowAll()
        var living = Array(handles.pids.indices)
        while !living.isEmpty { living = handles.living(among: living, waiting: -1) }
        Processes.exitNow(0)
    }

    /// Those of this user, in this pid namespace, whose records can be trusted: nothing else can be said in this user's name.
    package static func all() throws(SystemError) -> [Found] {
        let own = try TaskStatus(of: Processes.ownPid).users
        let namespace = try NamespaceLook.pid(of: Processes.ownPid)
        var found: [Found] = []
        for pid in try allProcesses() {
            guard isKeeper(pid), let users = (try? TaskStatus(of: pid))?.users,
                users == own, (try? NamespaceLook.pid(of: pid)) == namespace
            else { continue }
            for number in (try? descriptors(of: pid)) ?? [] where (try? readLink("/proc/\(pid)/fd/\(number)")) == recordLink {
                if let record = try? readFile("/proc/\(pid)/fd/\(number)") { found.append(Found(pid: pid, record: record)) }
            }
        }
        return found
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
