internal import CKernel
internal import Glibc
internal import LinuxABI

/// Time namespaces: the monotonic and the boot-time clock of the processes in one are the host's plus an offset.
///
/// Offsets can be written until the namespace has its first member. A process joins by itself while it is
/// single-threaded.
///
/// - Source: time_namespaces(7).
package enum TimeNamespace {
    package static let flag = CloneFlag.CLONE_NEWTIME

    /// What the clocks of a namespace show beyond the host's, in nanoseconds.
    package struct Offsets: Equatable, Sendable {
        package var monotonic: Int64 = 0
        package var boottime: Int64 = 0

        package init(monotonic: Int64 = 0, boottime: Int64 = 0) {
            self.monotonic = monotonic
            self.boottime = boottime
        }
    }

    /// The offsets of the namespace that a process's children are born into.
    package static func offsets(of pid: Int32) throws(SystemError) -> Offsets {
        try parseTimeOffsets(try readKernelText("/proc/\(pid)/timens_offsets", capacity: 256))
    }

    /// Whether this process may make one.
    package static var canBeMade: Bool { Capabilities.currentEffective & Capability.set(Capability.CAP_SYS_ADMIN) != 0 && isKnown }
    /// Whether this kernel has them.
    package static var isKnown: Bool { (try? readLink("/proc/self/ns/time_for_children")) != nil }
}

/// A new time namespace without members.
///
/// A small process holds it as the namespace of its future children and never has any, so that the offsets can
/// still be written at any later moment. `deinit` ends that process, and so does the kernel if this one dies
/// (PR_SET_PDEATHSIG). The namespace exists as long as a descriptor or a member refers to it.
package final class NewTimeNamespace {
    private let keeper: Int32
    /// To be joined with setns(2).
    package let descriptor: Descriptor

    /// - Errors: `EPERM` without CAP_SYS_ADMIN, `EINVAL` where the kernel has none.
    package static func make() throws(SystemError) -> NewTimeNamespace {
        try FaultPoint.makeNamespace.pass("unshare(CLONE_NEWTIME)")
        let parent = Processes.ownPid
        let ready = try DescriptorTable.pipe()
        let keeper = try Processes.fork()
        if keeper == 0 {
            _ = ckernel_prctl(Int(Prctl.PR_SET_PDEATHSIG), Int(SIGKILL), 0, 0, 0)
            if Processes.parentPid != parent { Processes.exitNow(1) }
            Processes.setName("crrestart-time")
            let result = ckernel_syscall(Int(SYS_unshare), Int(TimeNamespace.flag), 0, 0, 0, 0, 0)
            Channel.send([UInt8(truncatingIfNeeded: -result)], over: ready.write)
            // A copy of a pipe's write end in this process would keep its readers from seeing the end.
            DescriptorTable.closeAll(from: 0)
            while true { Waiting.pause(atMost: 1 << 60) }
        }
        DescriptorTable.close(ready.write)
        let answer = Descriptor(owning: ready.read)
        let error = Int32(try answer.read(upTo: 1).first ?? UInt8(ECHILD))
        if error != 0 { throw SystemError(error, in: "unshare(CLONE_NEWTIME)") }
        let descriptor = try Descriptor.open("/proc/\(keeper)/ns/time_for_children")
        return NewTimeNamespace(keeper: keeper, descriptor: descriptor)
    }

    deinit {
        // Only this value waits for the child: until then the kernel gives its number to no other process.
        if Processes.endsByKill(keeper) { _ = try? Waiting.wait(keeper, block: true) }
    }

    private init(keeper: Int32, descriptor: consuming Descriptor) {
        self.keeper = keeper
        self.descriptor = descriptor
    }

    /// Possible until the namespace has its first member.
    package func setOffsets(_ offsets: TimeNamespace.Offsets) throws(SystemError) {
        try FaultPoint.setTimeOffsets.pass("write timens_offsets")
        let file = try Descriptor.open("/proc/\(keeper)/timens_offsets", O_WRONLY)
        try file.write(Array((line("monotonic", offsets.monotonic) + line("boottime", offsets.boottime)).utf8))
    }

    /// Whole seconds rounded down, and the nanoseconds above them.
    private func line(_ clock: String, _ offset: Int64) -> String {
        let second: Int64 = 1_000_000_000
        let rest = (offset % second + second) % second
        return "\(clock) \((offset - rest) / second) \(rest)\n"
    }
}

/// `timens_offsets`: a line for each clock: name, seconds, nanoseconds.
func parseTimeOffsets(_ text: [UInt8]) throws(SystemError) -> TimeNamespace.Offsets {
    var offsets = TimeNamespace.Offsets()
    for line in text.split(separator: .newline) {
        let words = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
        guard words.count == 3, let seconds = Int64(words[1]), let rest = Int64(words[2]) else {
            throw malformed("timens_offsets")
        }
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { throw malformed("timens_offsets") }
        switch words[0] {
        case "monotonic": offsets.monotonic = whole &+ rest
        case "boottime": offsets.boottime = whole &+ rest
        default: break
        }
    }
    return offsets
}
