internal import Kernel

/// Where in an address space the stub and the working memory of an injected program go. Pure.
struct InjectionPlace: Sendable, Equatable {
    /// Bytes of working memory, and where in it a program's data lie.
    static let memorySize: UInt64 = 64 << 10
    static let dataOffset: UInt64 = 48 << 10

    /// Where the vdso ends; the stub lies right below.
    let vdsoEnd: UInt64
    /// A free place for the working memory.
    let memory: UInt64
    /// A 32-bit program: the stub, 64-bit code, is entered and left by a change of the code segment.
    let is32Bit: Bool

    private static let stubSize = CheckpointStub.code().count

    var stubAddress: UInt64 { (vdsoEnd - UInt64(Self.stubSize)) & ~15 }
    var dataAddress: UInt64 { memory + Self.dataOffset }
    var programAddress: UInt64 { memory + CheckpointStub.programOffset }

    /// - Throws: why nothing can be asked in such a space.
    init(in space: SpaceSight, on host: HostSight) throws(InjectionObstacle) {
        let maps = space.maps.value.maps
        guard let vdso = maps.first(where: { $0.path.elementsEqual("[vdso]".utf8) }) else {
            throw InjectionObstacle(Refusal("has no vdso", help: "boot without vdso=0"))
        }
        is32Bit = space.is32Bit
        vdsoEnd = vdso.end
        let size = Self.stubSize + 16
        let slack = (is32Bit ? host.compatVdso : host.vdso)?.slack ?? 0
        guard slack >= size else {
            throw InjectionObstacle(Refusal("this kernel's vdso leaves no room for the stub (\(size) bytes)"))
        }
        // A 32-bit task can have nothing above 4 GiB: between its heap and its libraries there is room.
        let starts: [UInt64] = is32Bit ? [0xa000_0000, 0x1000_0000] : [0x6100_0000_0000]
        let end: UInt64 = is32Bit ? 0xff00_0000 : 0x7f00_0000_0000
        let holes = starts.map { start in
            maps.reduce(start) { hole, map in
                map.end > hole && map.start < hole + Self.memorySize ? (map.end + 0xf_ffff) & ~0xf_ffff : hole
            }
        }
        guard let hole = holes.first(where: { $0 + Self.memorySize <= end }) else {
            throw InjectionObstacle(Refusal("has no room for \(Self.memorySize >> 10) KiB of working memory"))
        }
        memory = hole
    }

    /// Whether an address lies in the stub.
    func isInStub(_ address: UInt64) -> Bool { address >= stubAddress && address < vdsoEnd }
}

struct InjectionObstacle: Error {
    let refusal: Refusal
    init(_ refusal: Refusal) { self.refusal = refusal }
}
