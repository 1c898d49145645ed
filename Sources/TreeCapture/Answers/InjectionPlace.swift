internal import Kernel
internal import LinuxABI

/// Where in an address space the stub and the working memory of an injected program go. Pure.
struct InjectionPlace: Sendable, Equatable {
    /// Bytes of working memory that all questions need, and where in it a program's data lie.
    static let memorySize: UInt64 = 64 << 10
    static let dataOffset: UInt64 = 48 << 10
    /// Where, from the data on, a page begins that is never used: the last one.
    static let untouchedOffset = memorySize - dataOffset - 4096

    /// Where the vdso ends; the stub lies right below.
    let vdsoEnd: UInt64
    /// A free place for the working memory, and its bytes.
    let memory: UInt64
    let size: UInt64
    /// A 32-bit program: the stub, 64-bit code, is entered and left by a change of the code segment.
    let is32Bit: Bool

    private static let stubSize = CheckpointStub.code().count

    var stubAddress: UInt64 { (vdsoEnd - UInt64(Self.stubSize)) & ~15 }
    var dataAddress: UInt64 { memory + Self.dataOffset }
    var programAddress: UInt64 { memory + CheckpointStub.programOffset }
    var slotAddress: UInt64 { memory + CheckpointStub.slotOffset }

    /// - Parameter size: bytes of working memory, whole pages.
    /// - Throws: why nothing can be asked in such a space.
    init(in space: SpaceSight, on host: HostSight, size: UInt64 = memorySize) throws(InjectionObstacle) {
        self.size = size
        let maps = space.maps.value.maps
        guard let vdso = maps.first(where: { $0.path.elementsEqual("[vdso]".utf8) }) else {
            throw InjectionObstacle(Refusal("has no vdso", help: "boot without vdso=0"))
        }
        is32Bit = space.is32Bit
        vdsoEnd = vdso.end
        let room = Self.stubSize + 16
        let slack = (is32Bit ? host.compatVdso : host.vdso)?.slack ?? 0
        guard slack >= room else {
            throw InjectionObstacle(Refusal("this kernel's vdso leaves no room for the stub (\(room) bytes)"))
        }
        guard let hole = Self.hole(in: maps, is32Bit: is32Bit, size: size) else {
            throw InjectionObstacle(
                Refusal(
                    "has no \(size >> 10) KiB of free addresses, which crcheckpoint needs for moments as working memory",
                    help: "unmap some of what it has reserved"))
        }
        memory = hole
    }

    /// A free place. At first where programs rarely have anything, then anywhere: nothing else can be mapped while the tasks
    /// stand still.
    static func hole(in maps: [MemoryMap], is32Bit: Bool, size: UInt64 = memorySize) -> UInt64? {
        // A 32-bit task can have nothing above 4 GiB: between its heap and its libraries there is room.
        let end: UInt64 = is32Bit ? 0xff00_0000 : 0x7f00_0000_0000
        for start: UInt64 in is32Bit ? [0xa000_0000, 0x1000_0000] : [0x6100_0000_0000] {
            let hole = maps.reduce(start) { hole, map in
                map.end > hole && map.start < hole + size ? (map.end + 0xf_ffff) & ~0xf_ffff : hole
            }
            if hole + size <= end { return hole }
        }
        // Above the lowest address that any kernel lets be mapped, below the last page.
        var free: UInt64 = 0x10000
        for map in maps where map.start < (is32Bit ? 0xffff_e000 : 0x7fff_ffff_f000) {
            if map.start >= free && map.start - free >= size { return map.start - size }
            free = max(free, map.end)
        }
        let last: UInt64 = is32Bit ? 0xffff_e000 : 0x7fff_ffff_f000
        return last > free && last - free >= size ? free : nil
    }

    /// Why the kernel would refuse the working memory; nil: it would not.
    ///
    /// - Source: mm/mmap.c, `may_expand_vm`.
    static func limit(of maps: [MemoryMap], _ limits: ResourceLimits, process: HostPid) -> Refusal? {
        func refusal(_ name: String, _ option: String, _ resource: UInt32, _ used: UInt64) -> Refusal? {
            guard let limit = limits.all.first(where: { UInt32(bitPattern: $0.resource) == resource }), limit.soft != UInt64.max,
                used > limit.soft || limit.soft - used < memorySize
            else { return nil }
            return Refusal(
                "has no room for \(memorySize >> 10) KiB of working memory, which crcheckpoint needs for moments: \(name) is \(limit.soft) bytes, of which \(used) are used",
                help: "raise it: prlimit --pid \(process) --\(option)=\(used &+ (1 << 20)):")
        }
        let own = maps.filter { !$0.path.elementsEqual("[vsyscall]".utf8) }
        let all = own.reduce(UInt64(0)) { $0 &+ $1.length }
        let data = own.filter { !$0.isShared && $0.protection.contains(.write) && !$0.flags.contains(.growsDown) }
        return refusal("RLIMIT_AS", "as", Rlimit.RLIMIT_AS, all)
            ?? refusal("RLIMIT_DATA", "data", Rlimit.RLIMIT_DATA, data.reduce(UInt64(0)) { $0 &+ $1.length })
    }

    /// Whether an address lies in the stub.
    func isInStub(_ address: UInt64) -> Bool { address >= stubAddress && address < vdsoEnd }
}

struct InjectionObstacle: Error {
    let refusal: Refusal
    init(_ refusal: Refusal) { self.refusal = refusal }
}
