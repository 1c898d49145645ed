internal import CheckpointImage
internal import HostProbe
internal import Kernel

/// The lock of the image's connections, which a restart removes as late as it can: a restart that fails leaves it in force, and can be tried again.
struct ConnectionUnlock {
    private let lock: ConnectionLock?
    private var removed: String?

    init(_ header: ImageHeader) { lock = header.hasLock ? ConnectionLock(id: header.lock.id) : nil }

    /// - Preconditions: the restored sockets are in place, so that packets reach them.
    mutating func run() throws(RestoreError) {
        guard let lock else { return }
        do throws(PacketFilter.Failure) { removed = try lock.remove() } catch {
            throw RestoreError("cannot unlock the connections of the image: \(error.reason)\(error.help.isEmpty ? "" : " (\(error.help))")")
        }
    }

    /// Puts it again.
    func undo() { if let removed { try? ConnectionLock.put(again: removed) } }
}
