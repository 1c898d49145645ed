import CommandSupport
import Kernel
import LinuxABI

/// What crrestart is started with and does not take as it is: limits of memory, and open descriptors.
enum Surroundings {
    /// Memory that crrestart itself needs, with some to spare: without it Swift's runtime would end the process by a signal.
    private static let leastMemory: UInt64 = 64 << 20

    /// Takes the whole of what limits allow, and ends the command where that is too little.
    static func requireMemory() {
        for (resource, name, option) in [(Rlimit.RLIMIT_DATA, "data", "-d"), (Rlimit.RLIMIT_AS, "address space", "-v")] {
            let hard = Processes.raiseToHardLimit(resource)
            if hard >= leastMemory { continue }
            Messages.error(
                "cannot start: ENOMEM (the limit of \(name) is \(hard >> 10) KiB, and crrestart itself needs \(leastMemory >> 10): ulimit \(option) unlimited)")
            Processes.exitNow(3)
        }
    }

    /// Closes what was inherited above 2, but for what is named, and what a path such as `/dev/fd/63` leads to.
    ///
    /// - Returns: the numbers that stay open.
    static func closeInherited(but named: [UInt32], _ paths: [String?]) -> Set<UInt32> {
        let kept = Set(named + paths.compactMap { $0.flatMap(DescriptorTable.number(inPath:)) })
        DescriptorTable.closeAll(from: 3, but: kept)
        return kept
    }
}
