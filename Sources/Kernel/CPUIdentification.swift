internal import CKernel
internal import Synchronization

/// The cpuid instruction of this processor.
package enum CPUIdentification {
    package typealias Registers = (eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32)

    /// What was asked before: in a virtual machine each question goes to the host, which takes 12 to 15 microseconds here.
    private static let known = Mutex<[UInt64: Registers]>([:])

    /// eax, ebx, ecx, edx of one leaf; zeroes on other architectures.
    package static func registers(leaf: UInt32, subleaf: UInt32) -> Registers {
        known.withLock { known in
            let question = UInt64(leaf) << 32 | UInt64(subleaf)
            if let answer = known[question] { return answer }
            let answer = ask(leaf: leaf, subleaf: subleaf)
            known[question] = answer
            return answer
        }
    }

    static func ask(leaf: UInt32, subleaf: UInt32) -> Registers {
        var out: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        unsafe withUnsafeMutablePointer(to: &out) { pointer in
            unsafe pointer.withMemoryRebound(to: UInt32.self, capacity: 4) { unsafe ckernel_cpuid(leaf, subleaf, $0) }
        }
        return (out.0, out.1, out.2, out.3)
    }
}
