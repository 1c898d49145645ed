internal import ArgumentParser
internal import CheckpointImage
internal import CommandSupport
internal import HostProbe

@main
struct Command: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crimage",
        abstract: "Shows what a checkpoint image holds, and checks it.",
        discussion: """
            The image may be of another host and another architecture. Nothing is started, and no image is changed: \
            merge writes a new one.
            """,
        version: ToolVersion.line("crimage"),
        subcommands: [Info.self, Tree.self, Threads.self, Files.self, Memory.self, Verify.self, Json.self, Merge.self])
}

/// The argument of every subcommand.
struct ImageArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The image; - is standard input.", valueName: "IMG"), completion: .file())
    var path: String

    @OptionGroup var key: KeyArguments

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Look in DIR for the images that IMG leaves pages out for (crcheckpoint --parent), before its own directory and where they were.",
            valueName: "DIR"),
        completion: .directory)
    var parentDir: String?

    var parents: ParentSearch { ParentSearch(directory: parentDir.map { Array($0.utf8) }) }

    func open() throws -> ImageInput { try ImageInput(path, key.keys(complain)) }
    func load() throws -> LoadedImage { try LoadedImage(try open(), parents) }
}
