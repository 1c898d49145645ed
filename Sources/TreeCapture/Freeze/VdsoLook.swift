internal import ArchState
internal import Kernel
internal import StepProgram

/// Which tasks of a stopped tree are inside their vdso.
struct VdsoLook {
    enum Place: Equatable {
        /// Stopped in it, that many bytes before its end.
        case code(bytesToEnd: UInt64)
        /// In a signal handler that interrupted it there.
        case returning(bytesToEnd: UInt64)
        /// The same, and the handler is in a system call: it may sleep for long.
        case returningFromCall(bytesToEnd: UInt64)

        /// Whether an earlier checkpoint's stub is on its way home there, or will be when the handler returns.
        var isStub: Bool {
            switch self {
            case .code(let distance), .returning(let distance), .returningFromCall(let distance): distance <= VdsoLook.stubSize
            }
        }
    }

    static let stubSize = UInt64(CheckpointStub.code().count + 16)

    private var places: [Int32: Vdso] = [:]
    /// By process: a mapping that is not its vdso, in which one of its tasks was.
    private var others: [Int32: Range<UInt64>] = [:]
    /// Where the frame of a signal is looked for, above the stack pointer. A handler that has put more than this
    /// on the stack since is not found out.
    private static let depth = 4096
    /// Where an earlier checkpoint has left its stub, a handler that returns into it has to be found.
    private static let depthWithStub = 256 << 10

    /// Where a stopped task is; nil if that has nothing to do with its vdso.
    mutating func place(of task: FrozenTree.Task) -> Place? {
        guard let raw = try? Trace.registers(.general, of: task.tid, atMost: X86GeneralRegisters.registerSetSize),
            let registers = try? X86GeneralRegisters(registerSet: raw)
        else { return nil }
        // A handler that runs blocks signals: with none blocked, only the place itself counts.
        let mask = registers.is32Bit ? 0 : (try? Trace.signalMask(of: task.tid)) ?? 0
        if mask == 0 && isElsewhere(task, registers.rip) { return nil }
        guard let vdso = vdso(of: task.process, by: task.tid) else { return nil }
        // The header's own address is among what the kernel hands to programs.
        let code = vdso.codeStart + 1..<vdso.codeEnd
        if code.contains(registers.rip) {
            let place = Place.code(bytesToEnd: vdso.codeEnd - registers.rip)
            // 32-bit programs make their calls there, and sleep in them.
            return registers.is32Bit && !place.isStub ? nil : place
        }
        if mask == 0 { return nil }
        let bytes = stack(of: task.tid, from: registers.rsp & ~7, depth: holdsStub(vdso, task.tid) ? Self.depthWithStub : Self.depth)
        let distances = stride(from: 0, to: max(0, bytes.count - Self.fromAddressToMask - 7), by: 8).compactMap { offset in
            let address = bytes.littleEndian64(at: offset)
            return code.contains(address) && isFrame(bytes, addressAt: offset, mask: mask) ? vdso.codeEnd - address : nil
        }
        // Where one of several leads into the stub, that counts.
        guard let distance = distances.min() else { return nil }
        return registers.originalRAX == UInt64.max ? .returning(bytesToEnd: distance) : .returningFromCall(bytesToEnd: distance)
    }

    /// Whether a return address is that of a signal frame whose handler has not ended: then signals are blocked
    /// now that will not be afterwards. What earlier frames left on the stack looks the same but for that.
    ///
    /// - Source: asm/sigcontext.h, `struct sigcontext_64`: `ip`, `flags`, `cs`; asm-generic/ucontext.h, `uc_sigmask`.
    private func isFrame(_ bytes: [UInt8], addressAt offset: Int, mask: UInt64) -> Bool {
        let interruptsAllowed: UInt64 = 0x202
        let (flags, segment) = (bytes.littleEndian64(at: offset + 8), bytes.littleEndian64(at: offset + 16))
        return flags & interruptsAllowed == interruptsAllowed && segment & 0xffff == 0x33
            && bytes.littleEndian64(at: offset + Self.fromAddressToMask) != mask
    }

    private static let fromAddressToMask = 128

    /// What lies on a stack, as far as there is memory.
    private func stack(of tid: Int32, from start: UInt64, depth: Int) -> [UInt8] {
        if let bytes = try? RemoteMemory.read(tid, at: start, count: depth) { return bytes }
        var bytes: [UInt8] = []
        while bytes.count < depth {
            let at = start + UInt64(bytes.count)
            guard let page = try? RemoteMemory.read(tid, at: at, count: 4096 - Int(at & 4095)) else { break }
            bytes += page
        }
        return bytes
    }

    /// Whether there is something in the slack of a vdso where the stub goes.
    private func holdsStub(_ vdso: Vdso, _ tid: Int32) -> Bool {
        let place = (try? RemoteMemory.read(tid, at: vdso.codeEnd - Self.stubSize, count: Int(Self.stubSize))) ?? []
        return place.contains { $0 != 0 }
    }

    private mutating func vdso(of process: Int32, by task: Int32) -> Vdso? {
        if let known = places[process] { return known }
        let found = (try? MemoryMap.plain(of: task)).flatMap { Vdso.find(in: $0) }
        places[process] = found
        return found
    }

    /// Whether the mapping in which a task is certainly is not its vdso. One question is cheaper than the text about all mappings.
    private mutating func isElsewhere(_ task: FrozenTree.Task, _ address: UInt64) -> Bool {
        if places[task.process] != nil { return false }
        if let other = others[task.process], other.contains(address) { return true }
        guard let mapping = try? MappingQuery(at: address, of: task.tid), !mapping.name.elementsEqual("[vdso]".utf8) else { return false }
        others[task.process] = mapping.range
        return true
    }
}
