import ArgumentParser
import TreeCapture

extension LiveMode: ExpressibleByArgument {
    package static var allValueDescriptions: [String: String] {
        [
            never.rawValue: "It stands still until all its pages are written.",
            auto.rawValue: "Where memory is short it stands still, and pages of processes that cannot be copied are set aside first. --live alone means this.",
            always.rawValue: "Where it cannot be done the checkpoint is refused, and each reason is named.",
        ]
    }
}

/// The option about what the tree does while its pages are written.
struct LiveArguments: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Whether the tree goes on while its pages are written: from forked copies of its processes, which are no children of theirs, take no part in anything and end when all is written. Memory is shared with the copies until the tree changes it. Without the option it is auto for a tree that goes on and has enough memory to stand still for less time that way.",
            valueName: "MODE"))
    var live: LiveMode?

    /// `--live` without a value.
    static func spelledOut(_ argument: String) -> String { argument == "--live" ? "--live=\(LiveMode.auto.rawValue)" : argument }

    /// What it took, and what is known of pages, behind how long the tree was stopped.
    static func cost(_ result: Checkpoint.Result) -> String {
        written(result) + (result.bytesKnown == 0 ? "" : ", \(size(result.bytesKnown)) known to be as in the parent")
            + (result.bytesTracked == 0 ? "" : ", \(size(result.bytesTracked)) tracked")
    }

    private static func written(_ result: Checkpoint.Result) -> String {
        if result.copies == 0 { return "" }
        let aside = result.bytesSetAside == 0 ? "" : ", \(size(result.bytesSetAside)) set aside"
        return " (\(result.copies) \(result.copies == 1 ? "copy" : "copies")\(aside)), written while it ran"
    }
}
