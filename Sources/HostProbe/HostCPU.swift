package import ArchState
package import Kernel

/// What this processor offers to programs, asked once.
package enum HostCPU {
    /// Nil where the processor has no xsave.
    package static let layout = try? XSaveLayout(leaves: leaves(XSaveLayout.leavesNeeded))

    /// State and instruction sets, as user space sees them.
    package static let offer =
        (try? CPUOffer(leaves: leaves(CPUOffer.leavesNeeded))) ?? CPUOffer(features: CPUOffer.everywhere)

    private static func leaves(_ wanted: [(leaf: UInt32, subleaf: UInt32)]) -> [CPUIDLeaf] {
        wanted.map { leaf, subleaf in
            let found = CPUIdentification.registers(leaf: leaf, subleaf: subleaf)
            return CPUIDLeaf(
                leaf: leaf, subleaf: subleaf, eax: found.eax, ebx: found.ebx, ecx: found.ecx, edx: found.edx)
        }
    }
}

extension X86DebugRegisters {
    /// Of a stopped task.
    package init(of task: Int32) throws(SystemError) {
        self.init(
            dr0: try DebugRegisters.read(0, of: task), dr1: try DebugRegisters.read(1, of: task),
            dr2: try DebugRegisters.read(2, of: task), dr3: try DebugRegisters.read(3, of: task),
            dr6: try DebugRegisters.read(6, of: task), dr7: try DebugRegisters.read(7, of: task))
    }
}
