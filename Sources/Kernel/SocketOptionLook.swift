internal import Glibc
package import LinuxABI

/// The options of a socket that differ from those of a new one of its family, type and protocol.
///
/// The values of new sockets are asked once for each kind.
package struct SocketOptionLook: Sendable {
    package struct Value: Sendable, Equatable {
        package var option: SocketOption
        package var bytes: [UInt8]
    }

    /// What was found of one socket.
    package struct Found: Sendable {
        /// In the order in which a restart sets them.
        package var changed: [Value] = []
        /// Why one of them cannot be saved, after `which `.
        package var refusal: String?
    }

    private struct Usual: Sendable {
        var option: SocketOption
        var bytes: [UInt8]
    }

    private var usual: [SocketHandle.Kind: [Usual]] = [:]
    private static let capacity = 2048

    package init() {}

    /// - Parameter isConnected: it has a peer.
    /// - Throws: where no socket of this kind can be made to compare it with.
    package mutating func changes(
        of socket: borrowing SocketHandle, _ kind: SocketHandle.Kind, isConnected: Bool
    ) throws(SystemError) -> Found {
        if usual[kind] == nil { usual[kind] = try Self.usual(of: kind) }
        var found = Found()
        var buffer = [UInt8](repeating: 0, count: Self.capacity)
        for one in usual[kind] ?? [] {
            if isConnected && one.option.form == .unconnected { continue }
            if one.option.form == .filter {
                do throws(SystemError) {
                    let filter = try socket.filter()
                    if !filter.isEmpty { found.changed.append(Value(option: one.option, bytes: filter)) }
                } catch { found.refusal = error.number == EACCES ? "which has a filter of eBPF (SO_ATTACH_BPF)" : "whose filter cannot be read: \(error.name)" }
                continue
            }
            let size: Int
            do throws(SystemError) { size = try socket.read(one.option.level, one.option.number, into: &buffer) } catch {
                // A shut or connected socket does not tell what it did before, ENOPROTOOPT and EOPNOTSUPP: it has none.
                if [ENOPROTOOPT, EOPNOTSUPP, ENOTCONN].contains(error.number) { continue }
                found.refusal = "whose option \(one.option.name) cannot be read: \(error.name)"
                continue
            }
            if size == one.bytes.count && buffer[..<size].elementsEqual(one.bytes) { continue }
            if one.option.form == .told {
                found.refusal = "whose option \(one.option.name) is set, which the kernel does not tell exactly"
                continue
            }
            guard one.option.sizes.contains(size) else {
                found.refusal = "whose option \(one.option.name) has \(size) bytes"
                continue
            }
            found.changed.append(Value(option: one.option, bytes: Array(buffer[..<size])))
        }
        return found
    }

    /// What socket(2) gives, of the options that this kind of socket has.
    private static func usual(of kind: SocketHandle.Kind) throws(SystemError) -> [Usual] {
        let new = try SocketHandle(new: kind)
        return SocketOption.options(of: SocketOption.Families(family: kind.family)).compactMap { option in
            if option.form == .filter { return Usual(option: option, bytes: []) }
            return new.option(option.level, option.number, upTo: capacity).map { Usual(option: option, bytes: $0) }
        }
    }
}
