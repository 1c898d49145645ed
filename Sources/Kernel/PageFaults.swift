internal import CKernel
internal import Glibc
internal import LinuxABI

/// Page faults of another process's memory, which this process answers: a userfaultfd that was made in it.
///
/// A task that touches a page that is not there waits, also in a system call, until the page has come. Descriptors are passed by number:
/// the kernel makes new ones at each fork, and processes that share a table have them all.
///
/// - Source: userfaultfd(2), ioctl_userfaultfd(2).
package enum PageFaults {
    /// What has happened to memory that is registered.
    package enum Event: Equatable, Sendable {
        /// A task waits for the page at this address.
        case touched(UInt64)
        /// The process has forked: the descriptor for the memory of its child.
        case forked(Int32)
        /// mremap(2)
        case moved(from: Range<UInt64>, to: UInt64)
        /// madvise(2) is about to drop the contents.
        case dropped(Range<UInt64>)
        /// munmap(2), or what has been mapped in its place, has dropped the memory.
        case unmapped(Range<UInt64>)
    }

    /// How a page was put in place, or was not.
    package enum Outcome: Equatable, Sendable {
        /// So many bytes, from the first on; fewer than asked for: memory is being moved, or dropped. Look at the events.
        case done(Int)
        /// There is a page already at the first address.
        case isThere
        /// The first address is not registered.
        case isForeign
        /// The memory is gone: its process has ended, or runs another program.
        case isGone
    }

    /// Why this process cannot have page faults answered, in calls of the kernel as well, and be told of forks; nil: it can.
    package static func refusal() -> SystemError? {
        do throws(SystemError) {
            let flags = Int(O_CLOEXEC | O_NONBLOCK)
            let made = Descriptor(owning: Int32(try SystemError.check(ckernel_syscall(Int(SYS_userfaultfd), flags, 0, 0, 0, 0, 0), "userfaultfd")))
            try UserFaultFile.begin(.missingPages, made.number)
            return nil
        } catch { return error }
    }

    /// What has happened since the last look; empty: nothing.
    @inline(never)
    package static func events(_ number: Int32) throws(SystemError) -> [Event] {
        let size = 32
        let bytes: [UInt8]
        do throws(SystemError) { bytes = try readBytes(number, upTo: 16 * size, at: nil) } catch {
            if error.number == EAGAIN { return [] }
            throw error
        }
        return stride(from: 0, to: bytes.count - bytes.count % size, by: size).compactMap { parse(bytes[$0..<$0 + size]) }
    }

    /// `struct uffd_msg`: the kind in the first byte, three words from the eighth on.
    static func parse(_ message: ArraySlice<UInt8>) -> Event? {
        func word(_ index: Int) -> UInt64 {
            let start = message.startIndex + 8 + 8 * index
            return message[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        switch message.first {
        case Userfault.UFFD_EVENT_PAGEFAULT: return .touched(word(1) & ~(pageSize - 1))
        case Userfault.UFFD_EVENT_FORK: return .forked(Int32(truncatingIfNeeded: word(0)))
        case Userfault.UFFD_EVENT_REMAP: return .moved(from: word(0)..<word(0) + word(2), to: word(1))
        case Userfault.UFFD_EVENT_REMOVE: return .dropped(word(0)..<word(1))
        case Userfault.UFFD_EVENT_UNMAP: return .unmapped(word(0)..<word(1))
        default: return nil
        }
    }

    /// Puts pages in place and wakes the tasks that wait for them.
    ///
    /// - Parameter part: of the bytes; whole pages.
    /// - Errors: `ENOMEM`: the host, or the control group of the task, has no memory left.
    @inline(never)
    package static func copy(_ bytes: [UInt8], _ part: Range<Int>, to address: UInt64, _ number: Int32) throws(SystemError) -> Outcome {
        try FaultPoint.copyPages.pass("ioctl(UFFDIO_COPY)")
        var words: [UInt64] = []
        let result = unsafe bytes.withUnsafeBytes { buffer in
            // Valid for the time of the call.
            words = [address, UInt64(UInt(bitPattern: buffer.baseAddress)) + UInt64(part.lowerBound), UInt64(part.count), 0, 0]
            return UserFaultFile.request(number, Ioctl.UFFDIO_COPY, &words)
        }
        return try outcome(result, words[4], part.count, "ioctl(UFFDIO_COPY)")
    }

    /// The same with a page of zeros.
    package static func zero(at address: UInt64, _ number: Int32) throws(SystemError) -> Outcome {
        var words = [address, pageSize, 0, 0]
        let result = UserFaultFile.request(number, Ioctl.UFFDIO_ZEROPAGE, &words)
        return try outcome(result, words[3], Int(pageSize), "ioctl(UFFDIO_ZEROPAGE)")
    }

    /// Lets tasks look again that wait for the page at this address.
    package static func wake(at address: UInt64, _ number: Int32) {
        var words = [address, pageSize]
        _ = UserFaultFile.request(number, Ioctl.UFFDIO_WAKE, &words)
    }

    /// Whether the memory still belongs to a process.
    package static func isAlive(_ number: Int32) -> Bool {
        // No memory is registered for write protection, so nothing is changed: the kernel looks for the memory as a whole first.
        var words: [UInt64] = [1 << 28, pageSize, 0]
        return UserFaultFile.request(number, Ioctl.UFFDIO_WRITEPROTECT, &words) != -Int(ESRCH)
    }

    /// Those of this process's descriptors that are userfaultfds.
    package static var open: [Int32] { numbers(of: UserFaultFile.link) }

    /// Whether a process is there still, alive or not waited for, by its descriptor.
    package static func exists(_ process: Int32) -> Bool {
        ckernel_syscall(Int(SYS_pidfd_send_signal), Int(process), 0, 0, 0, 0, 0) != -Int(ESRCH)
    }

    /// Ends every process that this process has a descriptor of.
    package static func killAllKnown() {
        for number in numbers(of: "anon_inode:[pidfd]") + numbers(of: "pidfd:") {
            _ = ckernel_syscall(Int(SYS_pidfd_send_signal), Int(number), Int(SIGKILL), 0, 0, 0, 0)
        }
    }

    private static func numbers(of link: String) -> [Int32] {
        let own = Processes.ownPid
        return ((try? descriptors(of: own)) ?? []).filter { number in
            ((try? descriptorTarget(of: own, number)) ?? []).starts(with: link.utf8)
        }
    }

    /// - Parameter told: how many bytes the kernel says are done; an errno, negative, where there are none.
    private static func outcome(_ result: Int, _ told: UInt64, _ wanted: Int, _ call: String) throws(SystemError) -> Outcome {
        if result == 0 { return .done(wanted) }
        switch Int32(-result) {
        case EAGAIN: return .done(max(0, Int(Int64(bitPattern: told))))
        case EEXIST: return .isThere
        case ENOENT: return .isForeign
        case ESRCH: return .isGone
        default: throw SystemError(Int32(-result), in: call)
        }
    }
}
