internal import ArgumentParser
internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI

/// `crimage merge`: an image and what its parents have for it, as one image.
struct Merge: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes one complete image of an image and its parents.",
        discussion: """
            OUT has the identity of IMG: images that were made with --parent IMG can use it. It is written aside and gets \
            its name when it is complete; the old images stay as they are.
            """)

    @Argument(help: ArgumentHelp("The file to write, mode 0600.", valueName: "OUT"), completion: .file())
    var output: String

    @OptionGroup var argument: ImageArgument

    @Option(name: .long, help: ArgumentHelp("Compress pages: zstd, zstd:LEVEL (1 to 19) or lz4.", valueName: "HOW"))
    var compress: String?

    @Flag(name: .long, help: "Replace a file that is there already; it may be IMG itself, but none of its parents.")
    var force = false

    func validate() throws {
        if let compress, PageCompression(compress) == nil {
            throw ValidationError("--compress \(compress): zstd, zstd:LEVEL with a level from 1 to 19, or lz4 is expected.")
        }
    }

    func run() throws {
        try reporting(argument.path) {
            guard case .file(let source) = try argument.open() else {
                throw failure("read image \(printable(Array(argument.path.utf8))): EINVAL (a regular file is expected)")
            }
            let image = try CheckpointImage(reading: source)
            let parent = try argument.parents.parent(of: image, beside: source.place?.directory)
            do {
                let file = try OutputFile(path: output, force: force)
                var next = parent
                while let one = next {
                    if let theirs = one.source as? ImageFile, file.replaces(theirs.number) {
                        throw SystemError(Errno.EINVAL, in: "it is one of the parents, which other images may need")
                    }
                    next = one.parent
                }
                let pages = SavedPages(image, in: source, parent: parent)
                try MergedImage(of: pages, compression: compress.flatMap { PageCompression($0) }).write { try file.write($0) }
                try file.sync()
                try file.commit()
            } catch let error as SystemError { throw failure("write image \(printable(Array(output.utf8))): \(error.name) (\(error.call))") }
        }
    }

    private func failure(_ what: String) -> ExitCode {
        complain("cannot \(what)")
        return ExitCode(1)
    }
}
