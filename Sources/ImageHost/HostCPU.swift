package import ArchState
internal import Kernel

/// What this processor offers to programs, asked once.
package enum HostCPU {
    /// Nil where the processor has no xsave.
    package static let layout = try? XSaveLayout(
        leaves: XSaveLayout.leavesNeeded.map { leaf, subleaf in
            let found = CPUIdentification.registers(leaf: leaf, subleaf: subleaf)
            return CPUIDLeaf(
                leaf: leaf, subleaf: subleaf, eax: found.eax, ebx: found.ebx, ecx: found.ecx, edx: found.edx)
        })
}
