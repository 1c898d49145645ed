import ArgumentParser
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

/// The options `--files`, `--path` and `--root`. Paths are bytes: those of the command line itself, not of Swift's text of it.
enum FileArguments {
    static func options(_ changed: FileOptions.Changed, _ moves: [String], _ root: String?) throws -> FileOptions {
        var options = FileOptions()
        options.changed = changed
        for bytes in values(of: "--path", moves) {
            guard let move = PathMove(bytes) else {
                throw ValidationError("--path \(printable(bytes)): OLD=NEW is expected, two absolute paths without . and ..")
            }
            if options.moves.moves.contains(where: { $0.old == move.old }) {
                throw ValidationError("--path \(printable(bytes)): another one is given for \(printable(move.old)).")
            }
            options.moves.moves.append(move)
        }
        if let bytes = values(of: "--root", root.map { [$0] } ?? []).first {
            guard let folder = PathMove.plain(bytes) else {
                throw ValidationError("--root \(printable(bytes)): an absolute path without . and .. is expected.")
            }
            options.moves.root = folder == Array("/".utf8) ? nil : folder
        }
        return options
    }

    /// The bytes that were given for an option, in their order.
    private static func values(of option: String, _ texts: [String]) -> [[UInt8]] {
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
