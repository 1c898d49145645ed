internal import Kernel

/// What the kernel shares with a program through a mapping, and what no other process can open: told by the name in `smaps`.
enum KernelMemory: CaseIterable {
    case asynchronousRing
    case uring
    case performanceBuffer
    case packetRing
    case secret
    case virtualMachine
    case other

    /// Nil: the name is that of a file, or of memory that can be opened.
    init?(path: [UInt8]) {
        func begins(_ text: String) -> Bool { path.starts(with: text.utf8) }
        if begins("/[aio]") {
            self = .asynchronousRing
        } else if begins("anon_inode:[io_uring]") {
            self = .uring
        } else if begins("anon_inode:[perf_event]") {
            self = .performanceBuffer
        } else if begins("socket:") {
            self = .packetRing
        } else if begins("/secretmem") {
            self = .secret
        } else if begins("anon_inode:kvm") {
            self = .virtualMachine
        } else if begins("anon_inode:") {
            self = .other
        } else {
            return nil
        }
    }

    /// How a finding goes on that begins with the mapping.
    var reason: String {
        switch self {
        case .asynchronousRing:
            "is the ring of asynchronous input and output (io_setup), which was not there when the process was looked at"
        case .uring: "is a ring of io_uring, which cannot be saved yet"
        case .performanceBuffer: "is the buffer of a performance counter (perf_event_open), which cannot be saved"
        case .packetRing: "is the ring of a packet or XDP socket, which cannot be saved yet"
        case .secret: "is secret memory (memfd_secret), which the kernel shows to the program alone"
        case .virtualMachine: "is memory of a virtual machine (KVM), which cannot be saved"
        case .other: "is memory that the kernel shares with the program, which cannot be saved"
        }
    }

    var help: String {
        switch self {
        case .asynchronousRing:
            "let the program use another way: aio=threads of QEMU, innodb_use_native_aio=0 of MySQL and MariaDB, without aio of nginx"
        case .uring:
            "let the program use another way: UV_USE_IO_URING=0 for node and other programs with libuv, io_method=worker of PostgreSQL, aio=threads of QEMU"
        case .performanceBuffer: "end the profiler, or start it outside of the tree"
        case .packetRing: "end the capture, or start it outside of the tree"
        case .secret: "let the program use ordinary memory"
        case .virtualMachine: "the machine has a way of its own to be saved, e.g. migrate or savevm of QEMU"
        case .other: ""
        }
    }
}

extension MemoryMap {
    /// Nil: a file, or memory that can be opened.
    var kernelMemory: KernelMemory? { KernelMemory(path: path) }
}
