internal import ArgumentParser

@main
struct Command: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crimage",
        abstract: "Shows what a checkpoint image holds, and checks it.",
        discussion: """
            IMAGE is a file, or - for an image on stdin. Exit status: 0 done, 1 the file cannot be read, \
            2 the image is damaged, incomplete or not an image, 64 wrong usage.
            """,
        subcommands: [Info.self, Tree.self, Threads.self, Files.self, Memory.self, Verify.self, Json.self])
}

/// The argument of every subcommand.
struct ImageArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("A file, or - for stdin.", valueName: "image"))
    var path: String
}
