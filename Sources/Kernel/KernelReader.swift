internal import CKernel
internal import Glibc

/// Reads the kernel's own memory, for what it tells in no other way. Nothing is changed by that.
///
/// Needs `CAP_BPF` and `CAP_PERFMON` (or `CAP_SYS_ADMIN`), Linux 5.14 and its type description. To open it costs half a
/// millisecond, some 6 where the type description has to be searched (``KernelLayout``); to read 3 microseconds. What is read can be gone the next moment, if nothing holds it: then other bytes are read, or
/// `EFAULT` is the answer.
///
/// - Source: bpf(2), `BPF_PROG_TYPE_SYSCALL`; bpf-helpers(7), `bpf_probe_read_kernel`.
package final class KernelReader {
    /// Bytes of one read.
    private static let largest = 248

    let layout = KernelLayout()
    private let program: Int32
    /// `struct task_struct` of the calling thread.
    let ownTask: UInt64
    /// See ``KernelPages``.
    var knownPages: Result<KernelPages, SystemError>?

    /// - Throws: `EPERM` without the capabilities, `ENOENT` without type description, `EINVAL` before Linux 5.14.
    package init() throws(SystemError) {
        // Without a description nothing could be found in the memory that is read.
        _ = try layout.offset("task_struct", "files")
        try FaultPoint.setupBPF.pass("bpf(BPF_PROG_LOAD)")
        let instructions = Self.instructions
        let loaded = unsafe ckernel_bpf_load_call(instructions, UInt32(instructions.count))
        program = Int32(try SystemError.check(Int(loaded), "bpf(BPF_PROG_LOAD)"))
        do throws(SystemError) { ownTask = try Self.run(program, 0, 0).task } catch {
            _ = Descriptor(owning: program)
            throw error
        }
    }

    deinit { _ = Descriptor(owning: program) }

    /// The context is `{ address, count, task, result, bytes }`.
    ///
    /// ```
    /// r6 = context; context.task = the current task; stack = 0
    /// context.result = bpf_probe_read_kernel(stack, context.count & 255, context.address); context.bytes = stack
    /// ```
    private static var instructions: [UInt64] {
        var program = BPFAssembler()
        program.emit(.moveRegister, 6, source: 1)
        program.call(.currentTask)
        program.emit(.store8, 6, source: 0, offset: 16)
        let room = 256
        for offset in stride(from: -room, to: 0, by: 8) { program.emit(.storeImmediate8, 10, offset: offset) }
        program.stackAddress(1, -room)
        program.emit(.load8, 2, source: 6, offset: 8)
        program.emit(.andImmediate, 2, immediate: 255)
        program.emit(.load8, 3, source: 6, offset: 0)
        program.call(.probeReadKernel)
        program.emit(.store8, 6, source: 0, offset: 24)
        for offset in stride(from: 0, to: largest, by: 8) {
            program.emit(.load8, 1, source: 10, offset: offset - room)
            program.emit(.store8, 6, source: 1, offset: 32 + offset)
        }
        program.finish(end: BPFAssembler.Label())
        return program.instructions
    }

    /// How far the memory of each processor lies from the addresses that stand for it in pointers marked `__percpu`. No symbol
    /// tells that; an array of a value for each processor does, whose addresses a program is told.
    func distancesOfProcessors() throws(SystemError) -> [UInt64] {
        let array = Descriptor(owning: Int32(try SystemError.check(Int(ckernel_bpf_make_per_cpu()), "bpf(BPF_MAP_CREATE)")))
        // The context as in `instructions`: context.bytes = bpf_map_lookup_percpu_elem(array, &0, context.count)
        var program = BPFAssembler()
        program.emit(.moveRegister, 6, source: 1)
        program.emit(.storeImmediate8, 10, offset: -8)
        program.loadMap(1, array.number)
        program.stackAddress(2, -8)
        program.emit(.load8, 3, source: 6, offset: 8)
        program.call(.lookUpPerCPU)
        program.emit(.store8, 6, source: 0, offset: 32)
        program.finish(end: BPFAssembler.Label())
        let loaded = unsafe ckernel_bpf_load_call(program.instructions, UInt32(program.instructions.count))
        let look = Descriptor(owning: Int32(try SystemError.check(Int(loaded), "bpf(BPF_PROG_LOAD)")))
        let pointer = try word(try word(try file(array), "file", "private_data"), "bpf_array", "pptrs")
        var distances: [UInt64] = []
        // No kernel has more (NR_CPUS).
        while distances.count < 8192 {
            let address = try Self.run(look.number, 0, distances.count).context[4]
            if address == 0 { break }
            distances.append(address &- pointer)
        }
        return distances
    }

    @inline(never)
    private static func run(
        _ program: Int32, _ address: UInt64, _ count: Int
    ) throws(SystemError) -> (task: UInt64, result: Int64, context: [UInt64]) {
        var context = [UInt64](repeating: 0, count: 4 + largest / 8)
        (context[0], context[1]) = (address, UInt64(count))
        // The kernel copies as many bytes in and out as it is told that there are.
        let ran = unsafe context.withUnsafeMutableBytes { buffer in
            unsafe ckernel_bpf_run(program, buffer.baseAddress, UInt32(buffer.count))
        }
        _ = try SystemError.check(Int(ran), "bpf(BPF_PROG_TEST_RUN)")
        return (context[2], Int64(bitPattern: context[3]), context)
    }

    /// `count` bytes at an address.
    ///
    /// - Errors: `EFAULT`: nothing is there.
    func read(_ address: UInt64, _ count: Int) throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let part = min(Self.largest, count - bytes.count)
            let read = try Self.run(program, address &+ UInt64(bytes.count), part)
            guard read.result == 0 else { throw SystemError(Int32(clamping: -read.result), in: "bpf_probe_read_kernel") }
            for place in 0..<part { bytes.append(UInt8(truncatingIfNeeded: read.context[4 + place / 8] >> UInt64(place % 8 * 8))) }
        }
        return bytes
    }

    /// The word at an address.
    func word(_ address: UInt64) throws(SystemError) -> UInt64 { littleEndian8(try read(address, 8), at: 0) }

    /// The word that a member of a structure holds.
    ///
    /// - Parameter path: names with dots between them, such as `files.fdt`, without pointers.
    func word(_ address: UInt64, _ structure: String, _ path: String) throws(SystemError) -> UInt64 {
        try word(address &+ UInt64(try offset(structure, path)))
    }

    /// The 32 bits that a member of a structure holds.
    func number(_ address: UInt64, _ structure: String, _ path: String) throws(SystemError) -> UInt32 {
        let bytes = try read(address &+ UInt64(try offset(structure, path)), 4)
        return UInt32(littleEndian8(bytes + [0, 0, 0, 0], at: 0))
    }

    /// Where a member of a structure begins.
    func offset(_ structure: String, _ path: String) throws(SystemError) -> Int {
        try layout.offset(structure, path)
    }

    /// How many packets a datagram or raw socket holds back until the program sends the rest of them.
    ///
    /// - Preconditions: no process sends through it meanwhile.
    /// - Source: net/ipv4/ip_output.c, `ip_append_data`; net/ipv4/udp.c, `udp_sendmsg` (MSG_MORE, UDP_CORK).
    package func packetsHeldBack(by socket: borrowing SocketHandle) throws(SystemError) -> UInt32 {
        let sock = try word(try word(try file(socket.copy), "file", "private_data"), "socket", "sk")
        return try number(sock, "sock", "sk_write_queue.qlen")
    }

    /// `struct file` of a descriptor of this process. It stays there as long as the descriptor does.
    func file(_ descriptor: borrowing Descriptor) throws(SystemError) -> UInt64 {
        let files = try word(ownTask, "task_struct", "files")
        let all = try word(try word(files, "files_struct", "fdt"), "fdtable", "fd")
        return try word(all &+ 8 &* UInt64(descriptor.number))
    }
}
