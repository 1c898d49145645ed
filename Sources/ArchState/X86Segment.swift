/// A segment register as the format holds it: what it means, never the selector of some kernel.
///
///     symbol (u16)    meaning                       selector on Linux x86_64
///     0               null                          0
///     1               64-bit user code              0x33
///     2               32-bit user code              0x23
///     3               user data                     0x2b
///     0x100 + i       TLS descriptor i (0...2)      (12 + i) * 8 + 3
///     0x4000 + i      LDT entry i (0...8191)        i * 8 + 7
///
/// Source: arch/x86/include/asm/segment.h.
package enum X86Segment: Equatable, Hashable, Sendable {
    case null
    case userCode64
    case userCode32
    case userData
    case tls(UInt8)
    case ldt(UInt16)

    static let firstTLSEntry: UInt16 = 12

    /// From a selector as ptrace shows it; nil where a program cannot have been given it.
    package init?(selector: UInt64) {
        switch selector {
        case 0...3: self = .null
        case 0x33: self = .userCode64
        case 0x23: self = .userCode32
        case 0x2b: self = .userData
        case 0x63: self = .tls(0)
        case 0x6b: self = .tls(1)
        case 0x73: self = .tls(2)
        case let other where other <= 0xffff && other & 7 == 7: self = .ldt(UInt16(other >> 3))
        default: return nil
        }
    }

    /// The selector to load.
    package var selector: UInt64 {
        switch self {
        case .null: 0
        case .userCode64: 0x33
        case .userCode32: 0x23
        case .userData: 0x2b
        case .tls(let index): UInt64(Self.firstTLSEntry + UInt16(index)) * 8 + 3
        case .ldt(let index): UInt64(index) * 8 + 7
        }
    }

    init?(symbol: UInt16) {
        switch symbol {
        case 0: self = .null
        case 1: self = .userCode64
        case 2: self = .userCode32
        case 3: self = .userData
        case 0x100...0x102: self = .tls(UInt8(symbol - 0x100))
        case 0x4000...0x5fff: self = .ldt(symbol - 0x4000)
        default: return nil
        }
    }

    var symbol: UInt16 {
        switch self {
        case .null: 0
        case .userCode64: 1
        case .userCode32: 2
        case .userData: 3
        case .tls(let index): 0x100 + UInt16(index)
        case .ldt(let index): 0x4000 + index
        }
    }

    /// Whether the associated index is one that exists.
    var isInRange: Bool {
        switch self {
        case .tls(let index): index < 3
        case .ldt(let index): index < 8192
        default: true
        }
    }
}
