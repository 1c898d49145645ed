internal import ArgumentParser
internal import CheckpointImage

@main
struct Command: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crimage",
        abstract: "Shows what a checkpoint image holds, and checks it.",
        discussion: """
            The image may be of another host and another architecture. Nothing is changed or started.
            """,
        version: ToolVersion.line("crimage"),
        subcommands: [Info.self, Tree.self, Threads.self, Files.self, Memory.self, Verify.self, Json.self])
}

/// The argument of every subcommand.
struct ImageArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The image; - is standard input.", valueName: "IMG"), completion: .file())
    var path: String
}
