internal import CheckpointImage
internal import Kernel

/// Files without a path that the kernel makes for one purpose, and that cannot be saved yet: each by its proper name.
enum KernelFile: DescriptorCapture {
    struct Kind: Sendable {
        /// What the link in `/proc/PID/fd` begins with.
        var link: String
        var name: String
        var help: String
    }

    private static let close = "close it before the checkpoint"

    static let kinds = [
        Kind(link: "anon_inode:[io_uring]", name: "an io_uring", help: "let the program use its other way of input and output; many have an option for it"),
        Kind(link: "anon_inode:[fanotify]", name: "a fanotify group", help: close),
        Kind(link: "anon_inode:bpf-map", name: "a BPF map", help: close),
        Kind(link: "anon_inode:bpf-prog", name: "a BPF program", help: close),
        Kind(link: "anon_inode:bpf_link", name: "a BPF link", help: close),
        Kind(link: "anon_inode:bpf", name: "a BPF object", help: close),
        Kind(link: "anon_inode:btf", name: "a BPF type description (BTF)", help: close),
        Kind(link: "anon_inode:[perf_event]", name: "a performance counter (perf_event_open)", help: "stop measuring"),
        Kind(link: UserFaultFile.link, name: "a userfaultfd", help: close),
        Kind(link: "anon_inode:[landlock-ruleset]", name: "a Landlock rule set", help: close),
        Kind(link: "anon_inode:seccomp notify", name: "a listener of seccomp notifications", help: "checkpoint the tree that it supervises"),
        Kind(link: "anon_inode:[fscontext]", name: "a file system that is being set up (fsopen)", help: close),
        Kind(link: "anon_inode:kvm", name: "a part of a virtual machine (KVM)", help: "use the virtual machine's own snapshots"),
        Kind(link: "anon_inode:[vfio", name: "a device that was handed over (VFIO)", help: close),
        Kind(link: "anon_inode:[iommufd]", name: "an IOMMU context (iommufd)", help: close),
        Kind(link: "anon_inode:sync_file", name: "a fence of the graphics processor", help: close),
        Kind(link: "anon_inode:[dma-buf]", name: "a buffer of a device (dma-buf)", help: close),
        Kind(link: "/dmabuf:", name: "a buffer of a device (dma-buf)", help: close),
        Kind(link: "/secretmem", name: "secret memory (memfd_secret), which only the program itself may read", help: "let the program use memory that can be read"),
        Kind(link: "anon_inode:[secretmem]", name: "secret memory (memfd_secret), which only the program itself may read", help: "let the program use memory that can be read"),
        Kind(link: "net:[", name: "a network namespace", help: close),
        Kind(link: "mnt:[", name: "a mount namespace", help: close),
        Kind(link: "pid:[", name: "a pid namespace", help: close),
        Kind(link: "user:[", name: "a user namespace", help: close),
        Kind(link: "ipc:[", name: "an ipc namespace", help: close),
        Kind(link: "uts:[", name: "a host name namespace (uts)", help: close),
        Kind(link: "cgroup:[", name: "a cgroup namespace", help: close),
        Kind(link: "time:[", name: "a time namespace", help: close),
    ]

    private static func kind(of sight: OpenFileSight) -> Kind? {
        kinds.first { sight.target.bytes.starts(with: $0.link.utf8) && ($0.link.first != "/" || !sight.isFoundByName) }
    }

    static func claims(_ sight: OpenFileSight) -> Bool {
        if kind(of: sight) != nil { return true }
        let isSpecial = [.pipe, .socket, .characterDevice, .blockDevice].contains(sight.status.kind)
        // Where the kernel does not tell a path that is too long there is none.
        return !isSpecial && !sight.target.bytes.isEmpty && sight.target.bytes.first != UInt8(ascii: "/")
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        let name = sight.target.shown
        guard let kind = kind(of: sight) else { return .refused("is \(name), which cannot be saved yet", help: close) }
        return .refused("is \(kind.name), which cannot be saved yet", help: kind.help)
    }
}

extension OpenFileSight {
    /// MQUEUE_MAGIC. Source: ipc/mqueue.c.
    private static let messageQueues: UInt64 = 0x1980_0202

    /// Message queues look like files of a name that leads nowhere.
    mutating func lookAtFileSystem() {
        guard status.kind == .regular, !isFoundByName, target.bytes.first == UInt8(ascii: "/"),
            !target.bytes.starts(with: "/memfd:".utf8)
        else { return }
        let type = try? fileSystemMagic(of: "/proc/\(holder)/fd/\(number)")
        if type == Self.messageQueues { details["messageQueue"] = "1" }
    }
}
