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

    package static func run(_ arguments: [String], input: String = "") throws(Failure) -> String {
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
