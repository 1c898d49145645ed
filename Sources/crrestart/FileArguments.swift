import ArgumentParser
import HostProbe
import Kernel
import LinuxABI
import RestorePlan

extension FileOptions.Changed: ExpressibleByArgument {
    package static var allValueDescriptions: [String: String] {
        [
            refuse.rawValue: "Refuse a mapped program file that changed and a file that is shorter, with exit status 3.",
            accept.rawValue: "Take what is there.",
            rollback.rawValue: "Like refuse, but cut files that grew and that a program writes to; what is cut off is kept beside them.",
        ]
    }
}

/// The options `--files`, `--path`, `--root` and `--parent-dir`. Paths are bytes: those of the command line itself, not of Swift's text of it.
struct FileArguments: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "What to do about files that are not as they were at the checkpoint. Those that only grew are told in any case.",
            valueName: "HOW"))
    var files = FileOptions.Changed.refuse

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Take NEW for the file or directory OLD of the image, and for everything below it; may be repeated, the longest OLD wins.",
            valueName: "OLD=NEW"), completion: .file())
    var path: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Look for all files of the image below DIR, but for those of --path and below /dev, /proc and /sys; DIR becomes the root directory of the tree.",
            valueName: "DIR"),
        completion: .directory)
    var root: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Look in DIR for the images that the image leaves pages out for (crcheckpoint --parent), before its own directory and where they were.",
            valueName: "DIR"),
        completion: .directory)
    var parentDir: String?

    /// Where parent images are.
    var parents: ParentSearch { ParentSearch(directory: Self.values(of: "--parent-dir", parentDir.map { [$0] } ?? []).first) }

    func options() throws -> FileOptions {
        var options = FileOptions()
        options.changed = files
        for bytes in Self.values(of: "--path", path) {
            guard let move = PathMove(bytes) else {
                throw ValidationError("--path \(printable(bytes)): OLD=NEW is expected, two absolute paths without . and ..")
            }
            if options.moves.moves.contains(where: { $0.old == move.old }) {
                throw ValidationError("--path \(printable(bytes)): another one is given for \(printable(move.old)).")
            }
            options.moves.moves.append(move)
        }
        if let bytes = Self.values(of: "--root", root.map { [$0] } ?? []).first {
            guard let folder = PathMove.plain(bytes) else {
                throw ValidationError("--root \(printable(bytes)): an absolute path without . and .. is expected.")
            }
            options.moves.root = folder == Array("/".utf8) ? nil : folder
        }
        return options
    }

    /// The bytes that were given for an option, in their order.
    static func values(of option: String, _ texts: [String]) -> [[UInt8]] {
        let name = Array(option.utf8)
        let words = Processes.arguments
        var found: [[UInt8]] = []
        var index = words.startIndex
        while index < words.endIndex {
            let word = words[index]
            index += 1
            if word == name, index < words.endIndex {
                found.append(words[index])
                index += 1
            } else if word.starts(with: name + Array("=".utf8)) {
                found.append(Array(word.dropFirst(name.count + 1)))
            }
        }
        return found.count == texts.count ? found : texts.map { Array($0.utf8) }
    }
}
