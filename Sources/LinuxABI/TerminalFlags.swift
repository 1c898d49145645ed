/// Bits of `struct termios2`, and places in its `c_cc`.
///
/// - Source: asm-generic/termbits.h, asm-generic/termbits-common.h.
package enum TerminalFlags {
    // c_iflag
    package static let IXON: UInt32 = 0x400
    package static let IUTF8: UInt32 = 0x4000
    // c_oflag
    package static let OPOST: UInt32 = 1
    // c_lflag
    package static let ICANON: UInt32 = 2
    package static let IEXTEN: UInt32 = 0x8000
    package static let EXTPROC: UInt32 = 0x10000
    // c_cc
    package static let VEOF = 4
    package static let VTIME = 5
    package static let VMIN = 6
    package static let VSTART = 8
    package static let VSTOP = 9
    package static let VLNEXT = 15
}
