internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Unix sockets: what sock_diag(7) tells, names, options, and what waits to be received.
///
/// Details: `type`; `isListening`, `backlog`, `waiting` (inodes); `peerInode` (0: it has no descriptor); `shutdown`; `sent`; `reset`;
/// `address`; `peerAddress`, the name of a peer that is gone, or `connectedName`; `file`, the path of its name, `fileGone`, `elsewhere`, `fileDevice`, `fileInode`, `fileMode`, `fileOwner`, `fileGroup`;
/// `credentials` (pid, uid, gid); `peerNumber`, that pid as the root of
/// the tree sees it, where it is in another pid namespace; options (``SocketOptionSight``); `message0`, ..., with `files0` (places of open files), `sender0`, as `credentials`,
/// `senderNumber0`, as `peerNumber`, `from0`; of one that has not been accepted yet: `connector`, as `credentials`, `connectorNumber`, as `peerNumber`, `early0`, ..., what it
/// has sent, with `earlyFiles0`, as `files0`, `earlyRefusal`; `refusal`, why it cannot be saved.
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
        var state = try UnixSocketState(of: sight.status.inode)
        let isEnded = state.shutdown & 1 != 0
        // As it is when crcheckpoint, which belongs to the tree, has ended.
        if type != Socket.SOCK_DGRAM, let peer = state.peer, peer != 0, tree.closesWithCheckpointer(socket: UInt64(peer)) { (state.peer, state.shutdown) = (0, 3) }
        if state.isListening {
            sight[number: "backlog"] = UInt64(state.backlog)
            if !state.waiting.isEmpty { sight.details["waiting"] = RawText(state.waiting.map { String($0) }.joined(separator: " ")) }
        }
        sight[number: "peerInode"] = state.peer.map { UInt64($0) }
        let sent = look.socket.bytesSent()
        if sent != 0 { sight[number: "sent"] = UInt64(sent) }
        if state.peer == 0, type != Socket.SOCK_DGRAM, state.shutdown != 3 { lookAtWaiting(&sight, &tree, hasSent: sent != 0) }
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
        let messages = try look.messages(isStream: isStream, ended: isEnded)
        for (index, message) in messages.enumerated() { note(message, index, &sight, &tree, isStream: isStream) }
        // Those that stood in for it at an earlier restart have other numbers here.
        guard tree.outerDepth > 0, messages.contains(where: { isStranger($0.sender, tree) }),
            let numbers = look.senderNumbers(isStream: isStream, ended: state.shutdown & 1 != 0, seenBy: tree.members.root.rawValue),
            numbers.count == messages.count
        else { return }
        for (index, number) in numbers.enumerated() where isStranger(messages[index].sender, tree) { sight[number: "senderNumber\(index)"] = UInt64(number) }
    }

    private static func isStranger(_ sender: UnixSocketLook.Credentials?, _ tree: TreeLook) -> Bool {
        guard let sender, sender.pid != 0 else { return false }
        return !tree.members.processes.contains(HostPid(Int32(bitPattern: sender.pid)))
    }

    /// Its other end is gone, or has not been accepted yet.
    private static func lookAtWaiting(_ sight: inout OpenFileSight, _ tree: inout TreeLook, hasSent: Bool) {
        do throws(SystemError) {
            let found = try tree.kernelReader().waitingConnection(
                of: sight.holder.rawValue, descriptor: sight.number, seenBy: tree.members.root.rawValue)
            guard let found else { return }
            sight.details["connector"] = text(found.connector)
            sight[number: "connectorNumber"] = UInt64(found.numberSeen)
            for (index, message) in found.messages.enumerated() {
                sight.details["early\(index)"] = RawText(message.bytes)
                let places = message.files.compactMap { tree.place(ofFileAt: $0) }
                if !places.isEmpty { sight.details["earlyFiles\(index)"] = RawText(places.map { String($0) }.joined(separator: " ")) }
                if places.count < message.files.count {
                    sight.details["earlyRefusal"] = "has sent a descriptor of a file that no process of the tree has open"
                }
            }
            if let obstacle = found.obstacle { sight.details["earlyRefusal"] = RawText("has sent \(obstacle)") }
        } catch {
            if hasSent { sight.details["earlyRefusal"] = RawText("has sent something already, which cannot be seen: \(error.name)") }
        }
    }

    private static func lookAtNames(_ sight: inout OpenFileSight, _ look: borrowing UnixSocketLook, _ state: UnixSocketState) {
        let address = look.address()
        if !address.isEmpty { sight.details["address"] = RawText(address) }
        if let one = state.peer, let peer = look.peerAddress(), !peer.isEmpty { sight.details[one == 0 ? "peerAddress" : "connectedName"] = RawText(peer) }
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
        // A message that was sent before credentials were asked for has none: no process, and the user that stands for none.
        if let sender = message.sender, sender.pid != 0 || sender.user != noUser { sight.details["sender\(index)"] = text(sender) }
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

    /// `kernel.overflowuid`.
    private static let noUser: UInt32 = 65534

    private static func text(_ one: UnixSocketLook.Credentials) -> RawText { RawText("\(one.pid) \(one.user) \(one.group)") }
}
