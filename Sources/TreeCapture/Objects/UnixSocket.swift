internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Unix sockets: what sock_diag(7) tells, names, options, and what waits to be received.
///
/// Details: `type`; `isListening`, `backlog`, `waiting` (inodes); `peerInode` (0: it has no descriptor); `shutdown`; `sent`; `reset`;
/// `address`, `peerAddress`; `file`, the path of its name, `fileGone`, `elsewhere`, `fileDevice`, `fileInode`, `fileMode`, `fileOwner`, `fileGroup`;
/// `credentials` (pid, uid, gid); `peerNumber`, that pid as the root of
/// the tree sees it, where it is in another pid namespace; options (``SocketOptionSight``); `message0`, ..., with `files0` (places of open files), `sender0`,
/// `from0`; `refusal`, why it cannot be saved.
enum UnixSocket {
    static func look(_ sight: inout OpenFileSight, _ tree: inout TreeLook) {
        do throws(SystemError) { try lookAt(&sight, &tree) } catch {
            // In a dry run the program goes on: it can have closed the socket.
            sight.fail(error)
            sight.details["refusal"] = RawText("which cannot be looked into: \(error.name) (\(error.call))")
        }
    }

    private static func lookAt(_ sight: inout OpenFileSight, _ tree: inout TreeLook) throws(SystemError) {
        let look = try UnixSocketLook(of: sight.holder.rawValue, descriptor: sight.number)
        let type = look.type
        sight[number: "type"] = UInt64(type)
        let state = try UnixSocketState(of: sight.status.inode)
        if state.isListening {
            sight[number: "backlog"] = UInt64(state.backlog)
            if !state.waiting.isEmpty { sight.details["waiting"] = RawText(state.waiting.map { String($0) }.joined(separator: " ")) }
        }
        sight[number: "peerInode"] = state.peer.map { UInt64($0) }
        let sent = look.socket.bytesSent()
        if sent != 0 { sight[number: "sent"] = UInt64(sent) }
        if state.shutdown != 0 { sight[number: "shutdown"] = UInt64(state.shutdown) }
        if look.socket.hasError() { sight.details["reset"] = "1" }
        lookAtNames(&sight, look, state)
        if let one = look.peerCredentials() {
            sight.details["credentials"] = text(one)
            // One that stood in for it at an earlier restart has another number here.
            if tree.outerDepth > 0, one.pid != 0, !tree.members.processes.contains(HostPid(Int32(bitPattern: one.pid))) {
                sight[number: "peerNumber"] = look.peerNumber(seenBy: tree.members.root.rawValue).map { UInt64($0) }
            }
        }
        if look.hasUrgentData() { sight.details["refusal"] = "in which urgent data (MSG_OOB) waits" }
        try SocketOptionSight.look(&sight, look.socket, isConnected: state.peer != nil, &tree)
        // What is refused already is not looked into: urgent data hides the rest.
        if state.isListening || sight.details["refusal"] != nil { return }
        // Who receives meanwhile could see our offset.
        guard tree.members.standsStill else { return }
        let isStream = type == Socket.SOCK_STREAM
        let messages = try look.messages(isStream: isStream, ended: state.shutdown & 1 != 0)
        for (index, message) in messages.enumerated() { note(message, index, &sight, &tree, isStream: isStream) }
    }

    private static func lookAtNames(_ sight: inout OpenFileSight, _ look: borrowing UnixSocketLook, _ state: UnixSocketState) {
        let address = look.address()
        if !address.isEmpty { sight.details["address"] = RawText(address) }
        if state.peer == 0, let peer = look.peerAddress(), !peer.isEmpty { sight.details["peerAddress"] = RawText(peer) }
        guard address.first.map({ $0 != 0 }) ?? false else { return }
        do throws(SystemError) {
            let (link, status) = try look.file()
            let path = KernelPath(link: link, of: KernelPath.Identity(status)) { try? FileStatus(of: $0, followingLinks: false) }
            let isThere = (try? FileStatus(of: path.bytes, followingLinks: false))?.isSameFile(as: status) == true
            sight.details["file"] = RawText(path.bytes)
            // Another root directory, or the name is another file's by now.
            if isThere, address.first == UInt8(ascii: "/"), (try? FileStatus(of: address))?.isSameFile(as: status) != true {
                sight.details["elsewhere"] = "1"
            }
            if !isThere { sight.details["fileGone"] = "1" }
            sight[number: "fileDevice"] = status.device
            sight[number: "fileInode"] = status.inode
            sight[number: "fileMode"] = UInt64(status.mode & 0o7777)
            sight[number: "fileOwner"] = UInt64(status.owner)
            sight[number: "fileGroup"] = UInt64(status.group)
        } catch { sight.details["refusal"] = RawText("whose name cannot be found: \(error.name) (\(error.call) wants CAP_NET_ADMIN)") }
    }

    private static func note(
        _ message: UnixSocketLook.Message, _ index: Int, _ sight: inout OpenFileSight, _ tree: inout TreeLook, isStream: Bool
    ) {
        sight.details["message\(index)"] = RawText(message.bytes)
        if let sender = message.sender { sight.details["sender\(index)"] = text(sender) }
        if !message.from.isEmpty && !isStream { sight.details["from\(index)"] = RawText(message.from) }
        if message.files.isEmpty { return }
        var places: [Int] = []
        for number in message.files {
            let known = tree.sight.files.count
            do throws(SystemError) {
                let info = try Seen<DescriptorInfo>(ProcText.fdinfo(of: Processes.ownPid, descriptor: number))
                places.append(try tree.openFile(HostPid(Processes.ownPid), number, info, sight.mountNamespace))
            } catch { sight.details["refusal"] = RawText("with a file in flight that cannot be looked at: \(error.name) (\(error.call))") }
            // What is in flight only is looked at by our descriptor, which stays open.
            if tree.sight.files.count == known { UnixSocketLook.close([number]) }
        }
        sight.details["files\(index)"] = RawText(places.map { String($0) }.joined(separator: " "))
    }

    private static func text(_ one: UnixSocketLook.Credentials) -> RawText { RawText("\(one.pid) \(one.user) \(one.group)") }
}
