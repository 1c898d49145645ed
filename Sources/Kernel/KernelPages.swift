internal import CKernel
internal import Glibc
internal import LinuxABI

/// Where the kernel has the bytes of pages that it names by their `struct page`.
///
/// Both the structures and the bytes lie in a row, so one page of which both addresses are known tells the rest. No symbol tells them;
/// but for a page of small objects the kernel notes its first free object (`struct slab`, which lies over `struct page`).
///
/// - Source: Linux, mm/slab.h; Documentation/mm/memory-model.rst (sparse memory with a virtual map).
struct KernelPages {
    private let structure: UInt64
    private let bytes: UInt64
    private let size: UInt64

    /// Looks through the kernel's caches of objects, from that of a socket on, for a page of which a part is free.
    ///
    /// - Parameter socket: `struct sock`.
    init(_ reader: KernelReader, socket: UInt64) throws(SystemError) {
        size = UInt64(try reader.layout.size("page"))
        let inList = UInt64(try reader.offset("slab", "slab_list"))
        let partial = UInt64(try reader.offset("kmem_cache_node", "partial"))
        let link = UInt64(try reader.offset("kmem_cache", "list"))
        var cache = try reader.word(try reader.word(socket, "sock", "sk_prot_creator"), "proto", "slab")
        for _ in 0..<1000 {
            // The order of its pages: larger ones do not tell which of their pages an object is in.
            let order = try reader.number(cache, "kmem_cache", "oo") >> 16
            let node = try reader.word(cache, "kmem_cache", "node")
            if order == 0, node != 0, let first = try? reader.word(node &+ partial), first != node &+ partial {
                let slab = first &- inList
                if let free = try? reader.word(slab, "slab", "freelist"), free != 0, (try? reader.word(slab, "slab", "slab_cache")) == cache {
                    (structure, bytes) = (slab, free & ~(Kernel.pageSize - 1))
                    return
                }
            }
            cache = try reader.word(cache &+ link) &- link
        }
        throw SystemError(ENOENT, in: "look for a page of the kernel")
    }

    /// Where the bytes of a page begin.
    func address(of page: UInt64) -> UInt64 {
        bytes &+ UInt64(bitPattern: Int64(bitPattern: page &- structure) / Int64(size)) &* Kernel.pageSize
    }
}

extension KernelReader {
    /// What is in a packet or in a message of a socket.
    ///
    /// - Source: linux/skbuff.h.
    func bytes(of buffer: UInt64) throws(SystemError) -> [UInt8] {
        let length = Int(try number(buffer, "sk_buff", "len"))
        let inPages = Int(try number(buffer, "sk_buff", "data_len"))
        guard length >= inPages else { throw SystemError(EBADMSG, in: "sk_buff") }
        let bytes = try read(try word(buffer, "sk_buff", "data"), length - inPages)
        return inPages == 0 ? bytes : bytes + (try fragments(of: buffer, inPages, try checkedPages()))
    }

    private func fragments(of buffer: UInt64, _ count: Int, _ pages: KernelPages) throws(SystemError) -> [UInt8] {
        let info = try word(buffer, "sk_buff", "head") &+ UInt64(try number(buffer, "sk_buff", "end"))
        let number = Int(try read(info &+ UInt64(try offset("skb_shared_info", "nr_frags")), 1)[0])
        // Before Linux 6.9 they are `struct bio_vec`.
        let isNew = try layout.optionalOffset("skb_frag", "netmem") != nil
        let (kind, names) = isNew ? ("skb_frag", ("netmem", "len", "offset")) : ("bio_vec", ("bv_page", "bv_len", "bv_offset"))
        let first = info &+ UInt64(try offset("skb_shared_info", "frags"))
        let size = UInt64(try layout.size(kind))
        var bytes: [UInt8] = []
        for place in 0..<number where bytes.count < count {
            let fragment = first &+ UInt64(place) &* size
            let length = Int(try self.number(fragment, kind, names.1))
            let offset = UInt64(try self.number(fragment, kind, names.2))
            guard length <= count - bytes.count else { throw SystemError(EBADMSG, in: "skb_frag") }
            bytes += try read(pages.address(of: try word(fragment, kind, names.0)) &+ offset, length)
        }
        guard bytes.count == count else { throw SystemError(EBADMSG, in: "skb_shared_info") }
        return bytes
    }

    /// Pages are found by a conclusion, so a message of our own has to be read in that way first.
    ///
    /// - Errors: `EBADMSG`: it is not what was sent.
    @inline(never)
    private func checkedPages() throws(SystemError) -> KernelPages {
        if let knownPages { return try knownPages.get() }
        let found = Result { () throws(SystemError) in
            var pair: [Int32] = [-1, -1]
            let made = unsafe pair.withUnsafeMutableBufferPointer { pair in
                // The kernel writes two numbers.
                ckernel_syscall(Int(SYS_socketpair), Int(AF_UNIX), Int(SOCK_STREAM.rawValue) | Int(O_CLOEXEC), 0, unsafe Int(bitPattern: pair.baseAddress), 0, 0)
            }
            _ = try SystemError.check(made, "socketpair")
            let sender = Descriptor(owning: pair[0])
            let receiver = Descriptor(owning: pair[1])
            // The large rest lies in pages.
            let sent = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 7) }
            try sender.write(sent)
            let socket = try word(try word(try file(receiver), "file", "private_data"), "socket", "sk")
            let pages = try KernelPages(self, socket: socket)
            let head = socket &+ UInt64(try offset("sock", "sk_receive_queue"))
            let buffer = try word(head &+ UInt64(try offset("sk_buff", "next")))
            let inPages = Int(try number(buffer, "sk_buff", "data_len"))
            guard buffer != head, inPages > 0, try fragments(of: buffer, inPages, pages).elementsEqual(sent.suffix(inPages)) else {
                throw SystemError(EBADMSG, in: "read a page of the kernel")
            }
            return pages
        }
        knownPages = found
        return try found.get()
    }
}
