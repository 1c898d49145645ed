import ArgumentParser
import Kernel
import LinuxABI
import RestorePlan

/// The options `--fd` and `--reconnect`: descriptors that the root inherits, and what takes the place of those of the tree.
struct DescriptorArguments {
    /// Descriptors of crrestart that the root inherits.
    var handed: [UInt32] = []
    var choices: [DescriptorChoice] = []

    /// Descriptors of crrestart that the tree gets.
    var inherited: [UInt32] { handed + choices.compactMap(\.inherited) }

    /// - Parameter reconnected: values of `--reconnect`.
    init(_ texts: [String], reconnected: [String]) throws {
        for bytes in FileArguments.values(of: "--fd", texts) {
            let text = printable(bytes)
            guard bytes.contains(UInt8(ascii: "=")) else {
                guard let number = UInt32(text), number <= Int32.max else {
                    throw ValidationError("--fd \(text): N, N=null, N=close, N=/path, N=append:/path, N=fd:M, PID:N=... or N=ID is expected.")
                }
                if number <= 2 { throw ValidationError("--fd \(number): descriptors 0 to 2 stand in for those that led out of the tree.") }
                try requireOpen(number, text)
                if handed.contains(number) { throw ValidationError("--fd \(number) is given twice.") }
                handed.append(number)
                continue
            }
            guard let choice = DescriptorChoice(bytes) else {
                throw ValidationError("--fd \(text): N=null, N=close, N=/path, N=append:/path, N=fd:M, PID:N=... or N=ID is expected.")
            }
            if let number = choice.inherited { try requireOpen(number, text) }
            if choices.contains(where: { $0.target == choice.target }) { throw ValidationError("--fd \(text): another one is given for this descriptor.") }
            choices.append(choice)
        }
        for bytes in FileArguments.values(of: "--reconnect", reconnected) {
            guard let choice = DescriptorChoice(reconnecting: bytes) else {
                throw ValidationError("--reconnect \(printable(bytes)): the name of a socket is expected, as crcheckpoint --external got it: socket:[4711].")
            }
            if choices.contains(where: { $0.target == choice.target }) { throw ValidationError("--reconnect \(choice.text): another choice is given for this socket.") }
            choices.append(choice)
        }
    }

    /// Before anything is opened that could get the number.
    private func requireOpen(_ number: UInt32, _ text: String) throws {
        if number > Int32.max || !DescriptorTable.isOpen(Int32(number)) {
            throw ValidationError("--fd \(text): \(text == "\(number)" ? "this descriptor" : "descriptor \(number) of crrestart") is not open.")
        }
    }
}
