internal import ArchState
internal import ArgumentParser
internal import CheckpointImage
internal import HostProbe
internal import LinuxABI

/// `crimage threads`: what every thread was doing, and the processor state it has in use. Works for images of every
/// architecture.
struct Threads: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the threads: what each was doing, and the processor features it has in use.")

    @OptionGroup var argument: ImageArgument
    @Flag(help: "Also print the registers of each thread, without vector registers that are zero.") var registers = false

    func run() throws {
        try reporting(argument.path) {
            let loaded = try argument.load()
            let threads = loaded.image.threads.map { Row(thread: $0, image: loaded.image) }
            let titles = Self.columns.map(\.title)
            let lines = table([titles] + threads.map { row in Self.columns.map { $0.text(row) } }, right: [0])
                .split(separator: "\n")
            print(lines[0])
            for (line, row) in zip(lines.dropFirst(), threads) {
                print(line)
                if registers { print(row.registers, terminator: "") }
            }
        }
    }

    /// The columns of the table; the first one is aligned to the right.
    private static let columns: [(title: String, text: @Sendable (Row) -> String)] = [
        ("tid", { "\($0.thread.tid)" }),
        ("process", { "\($0.thread.process)" + ($0.command.isEmpty ? "" : " \(printable($0.command))") }),
        ("name", { $0.thread.name.asText }),
        ("was", { $0.activity.description }),
        ("features in use", { $0.features }),
    ]

    private struct Row {
        let thread: ImageThread
        let command: [UInt8]
        let activity: ThreadActivity
        let state: Result<AnyCPUState, ArchStateError>

        init(thread: ImageThread, image: CheckpointImage) {
            self.thread = thread
            command = image.process(thread.process)?.command.asBytes ?? []
            activity = ThreadActivity(of: thread)
            let records = thread.cpu.map { CPURecord(feature: $0.feature, body: $0.body.asBytes) }
            state = Result { () throws(ArchStateError) in try AnyCPUState(records: records) }
        }

        var features: String {
            switch state {
            case _ where thread.hasExited_p: "-"
            case .success(let state): "\(state.features)"
            case .failure(let error): "\(error)"
            }
        }

        var registers: String {
            guard case .success(let state) = state else { return "" }
            return state.banks.map { bank in
                "    \(bank.feature.name)\n" + Self.lines(bank.registers)
            }.joined()
        }

        /// Short registers four to a line, long ones below them.
        private static func lines(_ registers: [AnyCPUState.Register]) -> String {
            let short = registers.filter { $0.text.count <= 18 }
            let rows = stride(from: 0, to: short.count, by: 4).map { start in
                short[start..<min(start + 4, short.count)].flatMap { [$0.name, $0.text] }
            }
            let long = registers.filter { $0.text.count > 18 }.map { [$0.name, $0.text] }
            return table(rows, indent: "        ") + table(long, indent: "        ")
        }
    }
}
