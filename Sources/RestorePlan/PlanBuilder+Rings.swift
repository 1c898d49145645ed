import CheckpointImage
import LinuxABI
import StepProgram

/// Contexts of io_setup(2). The number of one is the address of its ring, which the kernel changes when the ring is moved.
extension PlanBuilder {
    /// Makes a context and moves its ring to where it was. Its counters cannot be set: requests that do nothing move them on.
    ///
    /// 1. Take the place of the ring, so that the kernel does not put the new one over it.
    /// 2. io_setup(2), and move the ring. Another number of processors can give it another size: that is an error.
    /// 3. Have as many events written and read as bring the head to where it was.
    /// 4. Have as many written as were not read, and put the contents of the old ones over them.
    ///
    /// - Preconditions: everything else is mapped, and the low descriptors are free.
    /// - Source: fs/aio.c, `ioctx_alloc`, `aio_ring_mremap`, `aio_complete`.
    mutating func makeRing(_ program: inout Program, _ ring: ImageAsynchronousRing, _ mapping: ImageMapping) {
        let length = mapping.end - mapping.start
        let events = mapping.ringEvents
        let placed = Step.Check.equals(Int64(bitPattern: mapping.start))
        program.call(
            .mmap,
            [
                .value(mapping.start), .value(length), 0,
                .value(Mmap.MAP_FIXED_NOREPLACE | Mmap.MAP_PRIVATE | Mmap.MAP_ANONYMOUS | Mmap.MAP_NORESERVE), .signed(-1), 0,
            ], check: placed, "place of a ring of io_setup")
        let made = room(8)
        program.call(.io_setup, [.number(ring.requests), .value(made)], "for \(ring.requests) requests")
        program.call(
            .mremap,
            [
                .stored(at: made), .value(length), .value(length), .value(Mremap.MREMAP_MAYMOVE | Mremap.MREMAP_FIXED),
                .value(mapping.start),
            ], check: placed, "ring of io_setup")
        // Times out at once if the ring has as many events as it had, fails with EAGAIN otherwise.
        program.call(
            .futex, [.value(mapping.start + 4), .value(Futex.FUTEX_WAIT), .value(events), data([UInt8](repeating: 0, count: 16)), 0, 0],
            check: .equals(-Int64(Errno.ETIMEDOUT)), "the ring has \(events) events, as it had")
        let unread = UInt64(ring.unread.count) / 32
        if ring.head == 0 && unread == 0 { return }
        settle(&program, program.call(.eventfd2, [0, 0], "for requests that do nothing"), as: scratchDescriptor)
        let requests = requestsThatDoNothing()
        // Never more than a processor has at hand.
        func complete(_ count: UInt64, isRead: Bool) {
            var left = count
            while left > 0 {
                let part = min(left, Self.requestsAtOnce)
                program.call(
                    .io_submit, [.value(mapping.start), .value(part), .value(requests.list)], check: .equals(Int64(part)))
                if isRead {
                    program.call(
                        .io_getevents, [.value(mapping.start), .value(part), .value(part), .value(requests.events), 0],
                        check: .equals(Int64(part)))
                }
                left -= part
            }
        }
        complete(UInt64(ring.head), isRead: true)
        complete(unread, isRead: false)
        program.call(.close, [.number(scratchDescriptor)])
        if unread > 0 { writeUnread(&program, ring, events) }
    }

    private static let requestsAtOnce: UInt64 = 32

    /// Reads of no bytes from the scratch descriptor, and room for their events. An eventfd refuses such a read, and the refusal
    /// is an event as good as any.
    ///
    /// - Source: linux/aio_abi.h, `struct iocb`; `IOCB_CMD_PREAD` is 0.
    private mutating func requestsThatDoNothing() -> (list: UInt64, events: UInt64) {
        let request = launchpad.add(words: [0, 0, UInt64(scratchDescriptor) << 32, 0, 0, 0, 0, 0])
        let list = launchpad.add(words: [UInt64](repeating: request, count: Int(Self.requestsAtOnce)))
        return (list, room(Int(Self.requestsAtOnce) * 32))
    }

    /// Puts the old events in the place of those without meaning: first those up to the end of the ring.
    private mutating func writeUnread(_ program: inout Program, _ ring: ImageAsynchronousRing, _ events: UInt64) {
        let bytes = ring.unread.asBytes
        let first = min(UInt64(bytes.count), (events - UInt64(ring.head)) * 32)
        let start = ring.address + 32
        var parts = [start + UInt64(ring.head) * 32, first]
        if first < UInt64(bytes.count) { parts += [start, UInt64(bytes.count) - first] }
        let local = launchpad.add(words: [launchpad.add(bytes), UInt64(bytes.count)])
        let remote = launchpad.add(words: parts)
        let own = program.call(.getpid)
        program.call(
            .process_vm_writev, [.result(of: own), .value(local), 1, .value(remote), .number(parts.count / 2), 0],
            check: .equals(Int64(bytes.count)), "\(bytes.count / 32) events that have not been read")
    }
}
