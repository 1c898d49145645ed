internal import CKernel

/// The cpuid instruction of this processor.
package enum CPUIdentification {
    /// eax, ebx, ecx, edx of one leaf; zeroes on other architectures.
    package static func registers(leaf: UInt32, subleaf: UInt32) -> (
        eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32
    ) {
        var out: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        unsafe withUnsafeMutablePointer(to: &out) { pointer in
            unsafe pointer.withMemoryRebound(to: UInt32.self, capacity: 4) { unsafe ckernel_cpuid(leaf, subleaf, $0) }
        }
        return (out.0, out.1, out.2, out.3)
    }
}
