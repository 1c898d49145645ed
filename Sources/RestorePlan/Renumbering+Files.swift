import CheckpointImage

extension Renumbering {
    /// Translates who gets the signals of an open file, and whose `/proc` it is of. Both are numbers in the pid namespace
    /// of the root, whatever the numbers are that the holder sees.
    func translate(_ file: inout ImageOpenFile) {
        if file.hasOwner { file.owner.number = new(file.owner.number) }
        switch file.object {
        case .proc(var proc)?:
            proc.process = new(proc.process)
            if proc.thread != 0 { proc.thread = new(proc.thread) }
            file.object = .proc(proc)
        case .pid(var one)?:
            one.process = new(one.process)
            if one.thread != 0 { one.thread = new(one.thread) }
            file.object = .pid(one)
        case .unix(var socket)?:
            if socket.connector.process != 0 { socket.connector.process = new(socket.connector.process) }
            if socket.peerCredentials.process != 0 { socket.peerCredentials.process = new(socket.peerCredentials.process) }
            for index in socket.queue.indices where socket.queue[index].sender.process != 0 {
                socket.queue[index].sender.process = new(socket.queue[index].sender.process)
            }
            file.object = .unix(socket)
        case .queue(var queue)? where queue.hasNotification:
            queue.notification.process = new(queue.notification.process)
            file.object = .queue(queue)
        default: break
        }
    }
}
