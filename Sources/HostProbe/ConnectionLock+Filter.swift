package import Kernel

extension ConnectionLock {
    /// A name for a new one.
    package static func newID() throws(SystemError) -> String {
        let bytes = try Descriptor.open("/dev/urandom").read(upTo: 8)
        return bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// From when this returns on, no packet of these connections arrives or leaves.
    package func put(_ list: [Connection]) throws(PacketFilter.Failure) { _ = try PacketFilter.run(["-f", "-"], input: commands(list)) }

    /// Removes it.
    ///
    /// - Returns: what puts it again, see ``put(again:)``; nil: there was none.
    package func remove() throws(PacketFilter.Failure) -> String? {
        do throws(PacketFilter.Failure) {
            let text = try PacketFilter.run(["-nn", "list", "table", "inet", table])
            _ = try PacketFilter.run(["delete", "table", "inet", table])
            return text
        } catch {
            if error.isMissing { return nil }
            throw error
        }
    }

    package static func put(again text: String) throws(PacketFilter.Failure) { _ = try PacketFilter.run(["-f", "-"], input: text) }

    /// Those that are in force in this network namespace, the oldest first.
    package static func all() throws(PacketFilter.Failure) -> [ConnectionLock] {
        var found: [ConnectionLock] = []
        for id in ids(inTables: try PacketFilter.run(["list", "tables", "inet"])) {
            do throws(PacketFilter.Failure) {
                let listing = try PacketFilter.run(["-nn", "-t", "list", "table", "inet", prefix + id])
                found.append(ConnectionLock(id: id, listing: listing) ?? ConnectionLock(id: id))
            } catch { if !error.isMissing { throw error } }
        }
        return found.sorted { $0.seconds < $1.seconds }
    }
}
