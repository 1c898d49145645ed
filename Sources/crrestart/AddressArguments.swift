import ArgumentParser
import LinuxABI
import RestorePlan

/// What `--address` says.
enum AddressArguments {
    static func moves(_ texts: [String]) throws -> AddressMoves {
        var moves = AddressMoves()
        for text in texts {
            guard let move = AddressMove(text) else {
                throw ValidationError("--address \(printable(Array(text.utf8))): OLD=NEW is expected, two addresses of IPv4, or two of IPv6, without ports.")
            }
            if moves.moves.contains(where: { $0.old == move.old }) { throw ValidationError("--address \(text): another one is given for the same address.") }
            moves.moves.append(move)
        }
        return moves
    }
}
