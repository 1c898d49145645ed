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

        /// A descriptor of ours, which keeps the connection as it is when its process ends; nil: none can be made.
        func hold() -> Int32? {
            if isOurs { return number }
            guard let copy = try? Descriptor.open(task: holder.rawValue).duplicate(remote: number) else { return nil }
            return copy.release()
        }
    }

    /// Connections of the tree that would tell their peers of its end.
    static func connections(in sight: TreeSight) -> [Place] {
        sight.files.filter { isTCP($0) && socket($0).isConnection }.map { Place(holder: $0.holder, number: $0.number, isOurs: $0.holder.rawValue == Processes.ownPid) }
    }
}
