/// Instructions of a BPF program, and of a function that it hands to a helper.
struct BPFCode: Equatable {
    var instructions: [UInt64]
    /// Index of the function's first instruction; nil: there is none.
    var function: Int?

    init(_ instructions: [UInt64], function: Int? = nil) {
        self.instructions = instructions
        self.function = function
    }

    /// The types that the kernel wants to be told where there is a function: of the program itself, and of that one.
    ///
    /// ```
    /// header  u16 magic 0xeb9f, u8 version, u8 flags, u32 header length,
    ///         u32 type offset, u32 type length, u32 string offset, u32 string length
    /// type 1  "int": INT, 4 bytes; encoding 1 (signed) << 24, 32 bits
    /// type 2  FUNC_PROTO that gives an int, its arguments not told
    /// type 3  "main": FUNC of type 2, static
    /// type 4  "step": FUNC of type 2, static
    /// ```
    ///
    /// - Source: Documentation/bpf/btf.rst.
    static var functionTypes: [UInt8] {
        let strings = Array("\0int\0main\0step\0".utf8)
        let types: [UInt32] = [1, 1 << 24, 4, 1 << 24 | 32, 0, 13 << 24, 1, 5, 12 << 24, 2, 10, 12 << 24, 2]
        let typeBytes = UInt32(types.count * 4)
        let header: [UInt32] = [0x1_eb9f, 24, 0, typeBytes, typeBytes, UInt32(strings.count)]
        let words = (header + types).flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
        return words + strings
    }

    /// `struct bpf_func_info` of both: index of the first instruction, number of the type.
    var functionInfo: [UInt32] { function.map { [0, 3, UInt32($0), 4] } ?? [] }
}
