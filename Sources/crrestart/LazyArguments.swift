import ArgumentParser
import Kernel

/// The options for pages that come while the tree runs.
struct LazyArguments: ParsableArguments {
    @Flag(
        name: .long,
        help: "Let the tree run at once: its pages come when they are touched, the others in the background. The image has to stay as it is until all are there.")
    var lazy = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "With --lazy: the image is elsewhere. It is asked for, part by part, over descriptor FD, a socket, or read from FD and written to OUT; IMG is what messages call it. If that end is gone while pages are missing the tree is ended. docs/protocol.md tells the lines.",
            valueName: "FD[,OUT]"))
    var served: String?

    var ends: DescriptorPair? { served.flatMap { DescriptorPair($0) } }
    var numbers: [UInt32] { (ends?.numbers ?? []).map { UInt32(bitPattern: $0) } }

    func check(hasKeys: Bool) throws {
        guard let served else { return }
        if !lazy { throw ValidationError("--served goes with --lazy.") }
        if hasKeys { throw ValidationError("--served reads an image at any place: --verify-key and --decrypt exclude it.") }
        try HoldArguments.requireOpen("--served", served)
    }
}
