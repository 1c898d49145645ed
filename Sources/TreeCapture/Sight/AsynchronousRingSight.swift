internal import Kernel
internal import LinuxABI
internal import StepProgram

/// A context of asynchronous input and output (io_setup), which is known by the address of its ring.
struct AsynchronousRingSight: Codable, Sendable {
    var address: UInt64
    /// Why the kernel does not tell more.
    var failure: Failure?
    /// What io_setup(2) was asked for; 0: the process has the mapping, and no context.
    var requests: UInt32 = 0
    var events: UInt32 = 0
    /// Requests that have no event yet.
    var underWay = 0
    var head: UInt32 = 0
    var tail: UInt32 = 0
    /// `struct io_event` of those that the program has not read.
    var unread = RawText([])

    /// Why it cannot be saved, as a finding goes on, and what helps.
    ///
    /// - Parameters:
    ///   - length: of the mapping, bytes.
    ///   - isAsMade: the mapping is shared, readable and writable.
    func obstacle(length: UInt64, isAsMade: Bool) -> (reason: String, help: String)? {
        let name = "is the ring of asynchronous input and output (io_setup)"
        #if arch(arm64)
            // The number of io_setup(2) is 0 there, which ends a program of steps.
            return ("\(name), which cannot be saved on this architecture yet", KernelMemory.asynchronousRing.help)
        #endif
        if let failure {
            return (
                "\(name), and the kernel does not tell which requests are under way: \(failure.errno)",
                "\(KernelMemory.asynchronousRing.help); or be root: CAP_BPF and CAP_PERFMON are needed to look"
            )
        }
        if requests == 0 { return ("\(name) of another process, which has been inherited", "let the program unmap it") }
        if underWay != 0 { return ("\(name), with \(underWay) requests under way", "try again when they have ended") }
        if length != (UInt64(events) + 1) * 32 || !isAsMade {
            return ("\(name), and the program has changed the mapping, which cannot be saved", "let the program leave it alone")
        }
        let count = UInt64(unread.bytes.count) / 32
        if head >= events || tail >= events || count > UInt64(events) / 2 {
            return ("\(name), with \(count) events that have not been read, which is more than can be saved", "let the program read them")
        }
        return nil
    }
}

extension TreeLook {
    /// - Preconditions: the tasks with this memory stand still.
    mutating func ring(at map: MemoryMap, of tid: HostPid) -> AsynchronousRingSight {
        var sight = AsynchronousRingSight(address: map.start)
        do throws(SystemError) {
            guard let ring = try kernelReader().asynchronousRing(of: tid.rawValue, at: map.start) else { return sight }
            sight.requests = ring.requests
            sight.events = ring.events
            sight.underWay = ring.underWay
            sight.tail = ring.tail
            // struct aio_ring: id, nr, head, tail
            let header = try RemoteMemory.read(tid.rawValue, at: map.start, count: 16)
            sight.head = UInt32(truncatingIfNeeded: header.littleEndian64(at: 8))
            guard sight.head < ring.events, ring.tail < ring.events, map.length == (UInt64(ring.events) + 1) * 32 else { return sight }
            let ranges = sight.head <= ring.tail ? [sight.head..<ring.tail] : [sight.head..<ring.events, 0..<ring.tail]
            var unread: [UInt8] = []
            for range in ranges where !range.isEmpty {
                unread += try RemoteMemory.read(
                    tid.rawValue, at: map.start + 32 + UInt64(range.lowerBound) * 32, count: range.count * 32)
            }
            sight.unread = RawText(unread)
        } catch { sight.failure = Failure(error) }
        return sight
    }
}
