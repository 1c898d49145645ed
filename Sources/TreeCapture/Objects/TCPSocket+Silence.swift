internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension TCPSocket {
    /// Where a connection is: a process that has it, and its number there.
    struct Place: Sendable {
        var holder: HostPid
        var number: Int32
        /// It is in flight only: the descriptor is ours, which a forked process has as well.
        var isOurs: Bool

        /// Puts it into repair mode: when its process ends, nothing is sent, and nothing of it stays.
        ///
        /// - Preconditions: the process stands still, and is about to be ended.
        func silence() {
            if isOurs {
                try? TCPStreamState.silence(number)
                return
            }
            guard let copy = try? Descriptor.open(task: holder.rawValue).duplicate(remote: number) else { return }
            try? TCPStreamState.silence(copy.number)
        }
    }

    /// Connections of the tree that would tell their peers of its end.
    static func connections(in sight: TreeSight) -> [Place] {
        sight.files.filter { isTCP($0) && socket($0).isConnection }.map { Place(holder: $0.holder, number: $0.number, isOurs: $0.holder.rawValue == Processes.ownPid) }
    }
}
