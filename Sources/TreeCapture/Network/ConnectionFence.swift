internal import HostProbe
internal import Kernel
internal import LinuxABI

/// The lock of the tree's connections, from before they are looked at until the tree has ended: what arrives in between would be acknowledged
/// and lost.
///
/// A keeper, which is a process of its own, puts it. It removes it when this process asks for that, or has died and the tree was not ended: a
/// tree that runs has no lock. The process that ends the tree tells the keeper first (``keep()``); it finishes whatever happens to this one.
final class ConnectionFence {
    private(set) var lock: ConnectionLock
    private var keeper: (pid: Int32, orders: Int32, answers: Int32)?
    private(set) var isInForce = false
    private var isKept = false

    private static let stays = UInt8(ascii: "k")
    private static let goes = UInt8(ascii: "r")
    private static let done = UInt8(ascii: "y")

    /// - Parameter path: of the image; nil: it goes to standard output.
    init(path: [UInt8]?) throws(SystemError) {
        lock = ConnectionLock(id: try ConnectionLock.newID())
        lock.path = path ?? []
    }

    deinit { open() }

    /// Puts the lock.
    ///
    /// - Preconditions: the tree stands still. Called once.
    /// - Throws: where it is not in force.
    func close(_ connections: [ConnectionLock.Connection]) throws(PacketFilter.Failure) {
        lock.seconds = SystemClock.boottime.now() / 1_000_000_000
        lock.connections = connections.count
        let orders: (read: Int32, write: Int32)
        let answers: (read: Int32, write: Int32)
        do throws(SystemError) {
            (orders, answers) = (try DescriptorTable.pipe(), try DescriptorTable.pipe())
            let child = try StayingProcess.start("crlock", at: .forkKeeper, keeping: [orders.read, answers.write])
            if child == 0 { keepWatch(connections, orders.read, answers.write) }
            for number in [orders.read, answers.write] { DescriptorTable.close(number) }
            keeper = (child, orders.write, answers.read)
        } catch { throw PacketFilter.Failure(reason: "\(error)") }
        guard Channel.awaitByte(answers.read) else {
            let failure = PacketFilter.Failure(reason: "the process that was to put it has died")
            open()
            throw failure
        }
        // The answer is a byte, or texts of what failed.
        let text = answer()
        if text.isEmpty {
            isInForce = true
            return
        }
        throw PacketFilter.Failure(reason: text[0], help: text.count > 1 ? text[1] : "")
    }

    /// Reads the rest of the first answer: nothing where all went well.
    private func answer() -> [String] {
        guard let keeper else { return [] }
        guard case .text(let line) = Channel.line(keeper.answers, until: .max) else { return ["the process that was to put it has died"] }
        if line.isEmpty { return [] }
        return line.split(separator: 0, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
    }

    /// What a forked process needs for ``keep()``.
    var numbers: [Int32] { keeper.map { [$0.orders] } ?? [] }

    /// It stays when this process ends. To be called by the process that ends the tree, before it ends any of it.
    func keep() {
        guard isInForce, let keeper else { return }
        Channel.send([Self.stays], over: keeper.orders)
        isKept = true
    }

    /// Removes it. Nothing happens where none is in force, or it is kept.
    func open() {
        guard let keeper else { return }
        self.keeper = nil
        if !isKept { Channel.send([Self.goes], over: keeper.orders) }
        DescriptorTable.close(keeper.orders)
        let isGone = Channel.awaitByte(keeper.answers)
        DescriptorTable.close(keeper.answers)
        if !isKept && !isGone { _ = try? lock.remove() }
        _ = try? Waiting.wait(keeper.pid, block: true)
        isInForce = isInForce && isKept
    }

    // MARK: - The keeper

    private func keepWatch(_ connections: [ConnectionLock.Connection], _ orders: Int32, _ answers: Int32) -> Never {
        do throws(PacketFilter.Failure) { try lock.put(connections) } catch {
            let text = [error.reason, error.help].map { $0.utf8.filter { $0 != 0 && $0 != 10 } }.joined(separator: [0])
            Channel.send([Self.done] + Array(text.prefix(250)) + [10], over: answers)
            Processes.exitNow(0)
        }
        Channel.send([Self.done, 10], over: answers)
        if let order = try? readOrder(orders), order == Self.stays { Processes.exitNow(0) }
        // Also when its only reader has died.
        if (try? lock.remove()) != nil { Channel.send([Self.done], over: answers) }
        Processes.exitNow(0)
    }

    private func readOrder(_ orders: Int32) throws(SystemError) -> UInt8? {
        let end = Descriptor(owning: orders)
        let bytes: [UInt8]
        do throws(SystemError) { bytes = try end.read(upTo: 1) } catch {
            _ = end.release()
            throw error
        }
        _ = end.release()
        return bytes.first
    }
}
