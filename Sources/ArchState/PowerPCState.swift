/// The CPU state of one powerpc thread, 64-bit or 32-bit.
///
/// The records can be read and checked on any host; widths are explicit, so that a 32-bit thread and a
/// 64-bit one have the same layout.
package struct PowerPCState: Equatable, Sendable {
    package var general: General
    package var float: Float?
    package var altivec: Altivec?
    /// Second halves of VSR0 ... VSR31; the first are the FP registers, VSR32 ... VSR63 are Altivec's.
    package var vsx: [UInt64]?
    package var spe: SPE?
    package var debug: Debug?

    package struct General: Equatable, Sendable {
        package var is64Bit: Bool
        /// r0 ... r31
        package var registers: [UInt64] = Array(repeating: 0, count: 32)
        package var nip: UInt64 = 0
        /// Only bits of `userState`; `reduced(msr:)` makes it from a live thread's.
        package var msr: UInt64 = 0
        package var originalR3: UInt64 = 0
        package var ctr: UInt64 = 0
        package var link: UInt64 = 0
        package var xer: UInt64 = 0
        package var ccr: UInt64 = 0
        /// Vector of the exception that led into the kernel; 0xc00 is a system call.
        package var trap: UInt64 = 0

        package init(is64Bit: Bool) { self.is64Bit = is64Bit }
    }

    package struct Float: Equatable, Sendable {
        /// FPR0 ... FPR31, eight bytes each.
        package var registers: [UInt64] = Array(repeating: 0, count: 32)
        package var status: UInt64 = 0

        package init() {}
    }

    package struct Altivec: Equatable, Sendable {
        /// VR0 ... VR31, sixteen bytes each.
        package var registers: [UInt8] = Array(repeating: 0, count: 512)
        package var status: UInt32 = 0
        package var save: UInt32 = 0

        package init() {}
    }

    package struct SPE: Equatable, Sendable {
        /// Upper halves of the general registers.
        package var upper: [UInt32] = Array(repeating: 0, count: 32)
        package var accumulator: UInt64 = 0
        package var status: UInt32 = 0

        package init() {}
    }

    /// The hardware breakpoints: DABR, the register that all processors have, and those of later processors in the
    /// form in which the kernel takes them on all of them.
    package struct Debug: Equatable, Sendable {
        /// Address in all but the low three bits: 1 reads, 2 writes, 4 translated addresses.
        package var dabr: UInt64
        package var breakpoints: [Breakpoint]

        package init(dabr: UInt64 = 0, breakpoints: [Breakpoint] = []) {
            self.dabr = dabr
            self.breakpoints = breakpoints
        }
    }

    /// DAWR0 and DAWR1 of the servers, IAC1 ... IAC4, DAC1 and DAC2 of the embedded processors.
    package struct Breakpoint: Equatable, Sendable {
        /// 1 execute, 2 read, 4 write
        package var trigger: UInt32
        /// 0 exact, 1 from `address` to before `end`, 2 outside of that, 3 `end` is a mask
        package var addressMode: UInt32
        /// 0 none, 1 all, 2 any of the bytes, 3 pairs; bits 16...23: which bytes
        package var conditionMode: UInt32
        package var address: UInt64
        package var end: UInt64
        package var value: UInt64

        package init(
            trigger: UInt32, addressMode: UInt32 = 0, conditionMode: UInt32 = 0, address: UInt64, end: UInt64 = 0,
            value: UInt64 = 0
        ) {
            self.trigger = trigger
            self.addressMode = addressMode
            self.conditionMode = conditionMode
            self.address = address
            self.end = end
            self.value = value
        }
    }

    package init(
        general: General, float: Float? = nil, altivec: Altivec? = nil, vsx: [UInt64]? = nil, spe: SPE? = nil,
        debug: Debug? = nil
    ) {
        self.general = general
        self.float = float
        self.altivec = altivec
        self.vsx = vsx
        self.spe = spe
        self.debug = debug
    }
}
