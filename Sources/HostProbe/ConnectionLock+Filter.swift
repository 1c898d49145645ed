internal import CheckpointImage
package import Kernel
internal import LinuxABI

/// The program `nft`, which speaks with the kernel's packet filter.
package enum PacketFilter {
    /// The program is not there, it may not, or the kernel lacks what it needs.
    package struct Failure: Error, Sendable, Equatable {
        package var reason: String
        /// What helps.
        package var help: String
        /// There is no such table.
        package var isMissing = false

        package init(reason: String, help: String = "", isMissing: Bool = false) {
            self.reason = reason
            self.help = help
            self.isMissing = isMissing
        }
    }

    private static let places = ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft", "/run/current-system/sw/bin/nft"]

    static var program: String? { places.first { (try? FileStatus(of: $0)) != nil } }

    static func run(_ arguments: [String], input: String = "") throws(Failure) -> String {
        guard let program else { throw Failure(reason: "the program nft is not installed", help: "install nftables") }
        let run: ProgramRun
        do throws(SystemError) { run = try ProgramRun.run(program, arguments, input: Array(input.utf8)) } catch {
            throw Failure(reason: "\(program) cannot be run: \(error)", help: "")
        }
        if run.isDone { return String(decoding: run.output, as: UTF8.self) }
        let words = String(decoding: run.errors, as: UTF8.self).split(separator: "\n").first.map { String($0.prefix(200)) } ?? "\(run.status)"
        let isForbidden = words.contains("not permitted") || words.contains("you must be root")
        throw Failure(
            reason: "nft says: \(printable(Array(words.utf8)))", help: isForbidden ? "it takes CAP_NET_ADMIN: be root" : "try nft list ruleset",
            isMissing: words.contains("No such file"))
    }
}

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
