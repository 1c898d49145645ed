internal import ArgumentParser
internal import CheckpointImage
internal import HostProbe
internal import LinuxABI

/// `crimage verify`: every checksum, those of the pages included.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compares every checksum and names all bad places.",
        discussion: "Of pages that the image leaves out those of its parents are compared. From a pipe it goes on to the end past bad pages, but not past a bad record.")

    @OptionGroup var argument: ImageArgument

    func run() throws {
        try reporting(argument.path) {
            var findings: [ImageError]
            let pageBytes: UInt64
            switch try argument.open() {
            case .file(let source):
                let verification = try ImageVerification(of: source) { image throws(ImageError) in
                    try argument.parents.parent(of: image, beside: source.place?.directory)
                }
                (findings, pageBytes) = (verification.findings, verification.pageBytes)
            case .stream(let source): (findings, pageBytes) = follow(source)
            }
            guard let first = findings.first else {
                print("good: \(size(pageBytes)) of pages and all records are as they were written")
                return
            }
            findings.removeFirst()
            let path = argument.path == "-" ? "on stdin" : printable(Array(argument.path.utf8))
            for finding in [first] + findings { complain(finding.sentence(image: path)) }
            throw ExitCode(first.exitStatus)
        }
    }

    private func follow(_ source: ImageStream) -> ([ImageError], UInt64) {
        var findings: [ImageError] = []
        var pageBytes: UInt64 = 0
        do throws(ImageError) {
            var reader = SequentialImageReader(source)
            let image = try reader.readMetadata()
            reader.parent = try argument.parents.parent(of: image, beside: nil)
            while try reader.nextSection() != nil {
                while case let bytes = try reader.readPages(upTo: 1 << 20), !bytes.isEmpty {
                    pageBytes += UInt64(bytes.count)
                }
                findings += try reader.closeSection().damaged.map { ImageError(.pagesDamaged(at: $0)) }
            }
            try reader.requireEnd()
        } catch { findings.append(error) }
        return (findings, pageBytes)
    }
}
