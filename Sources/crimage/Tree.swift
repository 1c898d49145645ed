internal import ArgumentParser
internal import CheckpointImage
internal import HostProbe

/// `crimage tree`: the process tree, drawn.
struct Tree: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draws the process tree with command lines, threads and memory.")

    @OptionGroup var argument: ImageArgument

    func run() throws {
        try reporting(argument.path) {
            let loaded = try argument.load()
            print(draw(loaded), terminator: "")
        }
    }

    /// One line for each process. Not recursive: an image may be a million processes deep.
    private func draw(_ loaded: LoadedImage) -> String {
        let sharing = SharedThings(loaded.image)
        var text = ""
        var waiting = [(process: loaded.image.root, first: "", rest: "")]
        while let (process, first, rest) = waiting.popLast() {
            text += "\(first)\(process.pid) \(loaded.commandLine(of: process))  \(about(process, loaded, sharing))\n"
            let children = loaded.image.children(of: process.pid)
            let deep = rest.count > 400
            for (number, child) in children.enumerated().reversed() {
                let last = number == children.count - 1
                waiting.append(
                    (child, rest + (last ? "└─ " : "├─ "), deep ? rest : rest + (last ? "   " : "│  ")))
            }
        }
        return text
    }

    private func about(_ process: ImageProcess, _ loaded: LoadedImage, _ sharing: SharedThings) -> String {
        if process.state == .zombie {
            let status = process.exitStatus
            let end = status & 0x7f == 0 ? "exit status \(status >> 8)" : "signal \(status & 0x7f)"
            return "(\((["zombie", end] + inside(process)).joined(separator: ", ")))"
        }
        var parts = [counted(loaded.image.threads(of: process.pid).count, "thread")]
        let space = loaded.image.spaceID(of: process)
        parts.append(size(loaded.savedBytes(.addressSpace, space) + loaded.image.sharedBytes(of: space)))
        if loaded.image.addressSpace(of: process)?.is32Bit == true { parts.append("32-bit") }
        if process.state == .stopped {
            parts.append("stopped by signal \(process.stopSignal)" + (process.changeUnreported ? ", its parent not yet told" : ""))
        } else if process.changeUnreported {
            parts.append("gone on after a stop, its parent not yet told")
        }
        if process.session == process.pid { parts.append("session leader") }
        let shared = sharing.words(of: process)
        if !shared.isEmpty { parts.append("shares " + shared.joined(separator: " and ")) }
        if loaded.image.isInit(process) { parts.append("init of a pid namespace") }
        return "(\((parts + inside(process)).joined(separator: ", ")))"
    }

    /// Numbers in nested pid namespaces, from outside inwards.
    private func inside(_ process: ImageProcess) -> [String] {
        process.innerPids.isEmpty ? [] : ["pid inside \(process.innerPids.map(String.init).joined(separator: "/"))"]
    }
}
