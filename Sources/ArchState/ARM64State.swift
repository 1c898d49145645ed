/// The CPU state of one aarch64 thread.
///
/// General registers, FP/SIMD, SVE where used, both TLS registers, hardware breakpoints. The records
/// can be read and checked on any host.
package struct ARM64State: Equatable, Sendable {
    package var general: General
    package var vector: Vector?
    package var sve: SVE?
    package var threadPointer: ThreadPointer?
    package var debug: Debug?

    package struct General: Equatable, Sendable {
        /// x0 ... x30
        package var x: [UInt64] = Array(repeating: 0, count: 31)
        package var sp: UInt64 = 0
        package var pc: UInt64 = 0
        package var pstate: UInt64 = 0
        /// First argument of the interrupted call, which goes back into x0 when it is made again.
        package var originalX0: UInt64 = 0
        /// Number of the system call the thread is in (x8), or -1.
        package var call: Int32 = -1

        package init() {}
    }

    package struct Vector: Equatable, Sendable {
        package var status: UInt32 = 0
        package var control: UInt32 = 0
        /// V0 ... V31, sixteen bytes each.
        package var registers: [UInt8] = Array(repeating: 0, count: 512)

        package init() {}
    }

    package struct SVE: Equatable, Sendable {
        /// Bytes of a Z register.
        package var vectorLength: Int
        /// Z0 ... Z31, P0 ... P15, FFR.
        package var registers: [UInt8]

        package init(vectorLength: Int, registers: [UInt8]) {
            self.vectorLength = vectorLength
            self.registers = registers
        }

        /// 32 Z registers, 16 predicates and FFR of an eighth each.
        static func size(vectorLength: Int) -> Int { 32 * vectorLength + 17 * (vectorLength / 8) }
    }

    package struct ThreadPointer: Equatable, Sendable {
        /// TPIDR_EL0
        package var first: UInt64
        /// TPIDR2_EL0, of SME
        package var second: UInt64

        package init(first: UInt64, second: UInt64 = 0) {
            self.first = first
            self.second = second
        }
    }

    package struct Debug: Equatable, Sendable {
        package struct Slot: Equatable, Sendable {
            package var address: UInt64
            package var control: UInt32

            package init(address: UInt64, control: UInt32) {
                self.address = address
                self.control = control
            }
        }

        package var breakpoints: [Slot]
        package var watchpoints: [Slot]

        package init(breakpoints: [Slot], watchpoints: [Slot]) {
            self.breakpoints = breakpoints
            self.watchpoints = watchpoints
        }
    }

    package init(
        general: General, vector: Vector? = nil, sve: SVE? = nil, threadPointer: ThreadPointer? = nil,
        debug: Debug? = nil
    ) {
        self.general = general
        self.vector = vector
        self.sve = sve
        self.threadPointer = threadPointer
        self.debug = debug
    }
}
