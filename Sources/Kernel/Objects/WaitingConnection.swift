internal import Glibc

/// The end of a connection of a unix socket that has not been accepted yet. No descriptor leads to it, so it is found in the kernel's
/// memory.
///
/// - Source: net/unix/af_unix.c, `unix_stream_connect`.
package struct WaitingConnection: Sendable {
    /// The process that has connected; its pid as this process sees it.
    package var connector: UnixSocketLook.Credentials
    /// The pid of that process as another one sees it, also when it has ended.
    package var numberSeen: UInt32
    /// What has been sent, in the pieces in which it was sent.
    package var messages: [Message] = []
    /// Why ``messages`` does not hold all.
    package var obstacle: String?

    package struct Message: Sendable {
        package var bytes: [UInt8]
        /// `struct file` of descriptors that were sent along.
        package var files: [UInt64]
    }
}

extension KernelReader {
    /// What waits to be accepted at the other end of a connected socket. Nil: that end has been accepted, or is gone.
    ///
    /// - Parameter root: a process; in its pid namespace `numberSeen` is counted.
    /// - Preconditions: the processes with either end stand still; else it may be a moment's nonsense.
    package func waitingConnection(of pid: Int32, descriptor: Int32, seenBy root: Int32) throws(SystemError) -> WaitingConnection? {
        let copy = try Descriptor.open(task: pid).duplicate(remote: descriptor)
        let own = try word(try word(try file(copy), "file", "private_data"), "socket", "sk")
        let end = try word(own, "unix_sock", "peer")
        if end == 0 { return nil }
        if try word(end, "sock", "sk_socket") != 0 { return nil }
        let process = try word(end, "sock", "sk_peer_pid")
        let user = try word(end, "sock", "sk_peer_cred")
        if process == 0 || user == 0 { return nil }
        let connector = UnixSocketLook.Credentials(
            pid: try processNumber(process, seenBy: try task(Processes.ownPid)), user: try number(user, "cred", "euid"),
            group: try number(user, "cred", "egid"))
        var found = WaitingConnection(connector: connector, numberSeen: try processNumber(process, seenBy: try task(root)))
        try readMessages(&found, end)
        if let urgent = try? word(end, "unix_sock", "oob_skb"), urgent != 0 { found.obstacle = "urgent data (MSG_OOB)" }
        return found
    }

    private func readMessages(_ found: inout WaitingConnection, _ end: UInt64) throws(SystemError) {
        let head = end &+ UInt64(try offset("sock", "sk_receive_queue"))
        let next = UInt64(try offset("sk_buff", "next"))
        var entry = try word(head &+ next)
        var total = 0
        while entry != head && entry != 0 {
            total += Int(try number(entry, "sk_buff", "len"))
            if total > Self.mostBytes {
                found.obstacle = "more than \(Self.mostBytes >> 10) KiB"
                return
            }
            found.messages.append(WaitingConnection.Message(bytes: try bytes(of: entry), files: try files(with: entry)))
            entry = try word(entry &+ next)
        }
    }

    private static let mostBytes = 1 << 18

    /// `struct scm_fp_list` of what is sent with SCM_RIGHTS.
    private func files(with entry: UInt64) throws(SystemError) -> [UInt64] {
        let list = try word(entry &+ UInt64(try offset("sk_buff", "cb")), "unix_skb_parms", "fp")
        if list == 0 { return [] }
        let count = Int(try number(list, "scm_fp_list", "count") & 0xffff)
        // SCM_MAX_FD
        guard count <= 253 else { throw SystemError(EBADMSG, in: "scm_fp_list") }
        let first = list &+ UInt64(try offset("scm_fp_list", "fp"))
        var files: [UInt64] = []
        for place in 0..<count { files.append(try word(first &+ UInt64(place * 8))) }
        return files
    }

    /// `struct file` of a descriptor of another process.
    package func file(of pid: Int32, descriptor: Int32) throws(SystemError) -> UInt64 {
        try file(try Descriptor.open(task: pid).duplicate(remote: descriptor))
    }

    /// A pid in the namespace of a task; 0: it has none there.
    ///
    /// - Source: linux/pid.h, `pid_nr_ns`.
    private func processNumber(_ process: UInt64, seenBy task: UInt64) throws(SystemError) -> UInt32 {
        let seer = try word(task, "task_struct", "thread_pid")
        let level = UInt64(try number(seer, "pid", "level"))
        if try number(process, "pid", "level") < level { return 0 }
        let size = UInt64(try layout.size("upid"))
        let numbers = UInt64(try offset("pid", "numbers"))
        let (one, own) = (process &+ numbers &+ level &* size, seer &+ numbers &+ level &* size)
        if try word(one, "upid", "ns") != word(own, "upid", "ns") { return 0 }
        return try number(one, "upid", "nr")
    }
}
