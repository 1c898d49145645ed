internal import HostProbe
internal import Kernel
internal import LinuxABI

extension Checkpoint {
    /// Nil: the tree goes on, or nothing of its connections is kept.
    func makeFence() throws(CaptureError) -> ConnectionFence? {
        guard options.afterwards != .goOn, options.connections == .keep else { return nil }
        do throws(SystemError) { return try ConnectionFence(path: options.output.map { absolutePath(Array($0.utf8)) }) } catch {
            throw CaptureError(cannot: "lock the connections of the tree", error, help: "")
        }
    }

    /// What is said of a lock that stays.
    func notice(of fence: ConnectionFence?, _ afterwards: Afterwards) -> [String] {
        guard let lock = fence?.lock, fence?.isInForce == true else { return [] }
        let count = lock.connections
        let subject = "packets of \(count) TCP connection\(count == 1 ? "" : "s") are dropped"
        let name = lock.path.isEmpty ? lock.id : printable(lock.path)
        if afterwards == .stop {
            return ["\(subject) until crrestart restores them: before SIGCONT, crcheckpoint --unlock \(name)"]
        }
        return ["\(subject) until crrestart has restored them (or crcheckpoint --unlock \(name))"]
    }
}
