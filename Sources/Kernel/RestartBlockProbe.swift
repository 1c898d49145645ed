internal import CKernel
internal import Glibc

/// Reads the restart blocks of tasks out of the kernel, by a BPF program that runs over tasks.
///
/// Needs `CAP_BPF` and `CAP_PERFMON` (or `CAP_SYS_ADMIN`), Linux 5.8 and its type description. Nothing in
/// the task is touched. A block means something only if the task is stopped with `-ERESTART_RESTARTBLOCK`
/// in its result register: open the probe when the first such task is met, it costs a few milliseconds.
///
/// Each task gives one record: `{u32 tid, u32 pid, u64 0, block filled up to 8}`, the name of the function it
/// points to, and a line end. The kernel itself turns the address into the name (`%ps`), which works with
/// any `kptr_restrict` and spares reading `/proc/kallsyms`.
///
/// - Source: bpf(2); kernel/bpf/task_iter.c.
package final class RestartBlockProbe {
    private let program: Descriptor
    private let layout: RestartBlockLayout
    /// The kernel counts pids in the initial namespace; elsewhere tasks are asked for one by one.
    private let isInInitialNamespace: Bool

    private init(program: consuming Descriptor, layout: RestartBlockLayout, isInInitialNamespace: Bool) {
        self.program = program
        self.layout = layout
        self.isInInitialNamespace = isInInitialNamespace
    }

    /// Loads the program.
    ///
    /// - Throws: `EPERM` without the capabilities, `ENOENT` without type description, `EBADMSG` where the
    ///   kernel's structures are not the known ones.
    package static func open() throws(SystemError) -> RestartBlockProbe {
        let types = try KernelTypes.ofRunningKernel()
        let layout = try RestartBlockLayout(types)
        let instructions = RestartBlockProgram(layout).instructions
        let function = try types.find("bpf_iter_task", .function)
        let result = unsafe ckernel_bpf_load_iterator(
            instructions, UInt32(instructions.count), UInt32(function))
        let program = Descriptor(owning: Int32(try SystemError.check(Int(result), "bpf(BPF_PROG_LOAD)")))
        // PROC_PID_INIT_INO of include/linux/proc_ns.h.
        let isInitial = try readLink("/proc/self/ns/pid").elementsEqual("pid:[4026531836]".utf8)
        return RestartBlockProbe(program: program, layout: layout, isInInitialNamespace: isInitial)
    }

    /// The blocks of all threads of a process, by tid. Empty if it is gone.
    package func read(process pid: Int32) throws(SystemError) -> [Int32: RestartBlock] {
        guard isInInitialNamespace else {
            var blocks: [Int32: RestartBlock] = [:]
            for task in try tasks(of: pid) { blocks[task] = try read(task: task) }
            return blocks
        }
        do throws(SystemError) {
            return decode(try run(task: 0, process: pid), process: pid)
        } catch let error where error.number == EINVAL || error.number == E2BIG {
            // Before 6.1 an iterator runs over all tasks.
            return decode(try run(task: 0, process: 0), process: pid)
        } catch let error where error.isGone {
            return [:]
        }
    }

    /// The block of one task; nil if it is gone.
    package func read(task: Int32) throws(SystemError) -> RestartBlock? {
        do throws(SystemError) {
            return decode(try run(task: task, process: 0), process: nil).values.first
        } catch let error where error.isGone {
            return nil
        }
    }

    /// The blocks of all tasks of the machine in one go, by tid of the initial pid namespace.
    package func readAll() throws(SystemError) -> [Int32: RestartBlock] {
        decode(try run(task: 0, process: 0), process: nil)
    }

    private func run(task: Int32, process: Int32) throws(SystemError) -> [UInt8] {
        let linked = ckernel_bpf_link_iterator(
            program.number, UInt32(bitPattern: task), UInt32(bitPattern: process))
        let link = Descriptor(owning: Int32(try SystemError.check(Int(linked), "bpf(BPF_LINK_CREATE)")))
        let started = ckernel_bpf_start_iterator(link.number)
        let iterator = Descriptor(owning: Int32(try SystemError.check(Int(started), "bpf(BPF_ITER_CREATE)")))
        return try readKernelText(iterator, capacity: 1 << 15)
    }

    private func decode(_ records: [UInt8], process: Int32?) -> [Int32: RestartBlock] {
        var blocks: [Int32: RestartBlock] = [:]
        let header = RestartBlockProgram.headerSize
        let size = RestartBlockProgram.recordSize(layout)
        var at = 0
        while at + size < records.count {
            let numbers = littleEndian8(records, at: at)
            let block = Array(records[(at + header)..<(at + header + layout.blockSize)])
            let nameStart = at + size
            let nameEnd = records[nameStart...].firstIndex(of: .newline) ?? records.count
            if process == nil || process == Int32(truncatingIfNeeded: numbers >> 32) {
                let name = String(decoding: records[nameStart..<nameEnd], as: UTF8.self)
                blocks[Int32(truncatingIfNeeded: numbers)] = layout.decode(block, name: name)
            }
            at = nameEnd + 1
        }
        return blocks
    }
}
