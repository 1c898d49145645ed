import ArgumentParser
import CommandSupport
import LinuxABI
import TreeCapture

extension TCPMode: ExpressibleByArgument {
    package static var allValueDescriptions: [String: String] {
        [
            keep.rawValue: "They go on after a restart; with --kill and --stop their packets are dropped until then. Needs CAP_NET_ADMIN and nft.",
            close.rawValue: "After a restart they are connections that the other end has closed.",
            refuse.rawValue: "The checkpoint is refused, and each is named.",
        ]
    }
}

/// The options about network connections.
struct LockArguments: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("What becomes of established TCP connections.", valueName: "HOW"))
    var tcp = TCPMode.keep

    @Flag(name: .long, help: "List the locks of connections: trees that were ended or stopped and not restarted yet. Takes no checkpoint.")
    var locks = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Remove the lock of the connections of an image, named by its path or by what --locks prints: their other ends are told that they are gone. Takes no checkpoint.",
            valueName: "IMG"), completion: .file())
    var unlock: String?

    var isGiven: Bool { locks || unlock != nil }

    func run(json: Bool) throws(CaptureError) {
        if let unlock {
            let count = try ConnectionLocks.remove(unlock)
            Messages.result(json ? "{\"unlocked\": \(count)}" : "\(count) connection\(count == 1 ? " is" : "s are") not locked any more")
        }
        if locks { list(try ConnectionLocks.all(), json: json) }
    }

    private func list(_ all: [ConnectionLocks.Entry], json: Bool) {
        if json {
            let lines = all.map {
                "{\"id\": \(jsonString($0.id)), \"image\": \(jsonString(printable($0.image))), \"connections\": \($0.connections), \"age_s\": \($0.age), \"image_exists\": \($0.imageExists)}"
            }
            return Messages.result("{\"locks\": [\(lines.joined(separator: ", "))]}")
        }
        if all.isEmpty { return Messages.result("no connections are locked") }
        for lock in all {
            let name = lock.image.isEmpty ? lock.id : printable(lock.image)
            let state = lock.image.isEmpty ? "an image that was written to a pipe" : lock.imageExists ? "the image is there" : "the image is not there any more"
            Messages.result("\(name): \(lock.connections) connection\(lock.connections == 1 ? "" : "s"), for \(lock.age) s, \(state)")
        }
    }
}
