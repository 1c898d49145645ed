package import ArgumentParser
internal import Kernel
internal import LinuxABI

/// Writes results to standard output and everything else to standard error.
package enum Messages {
    /// Nothing in it steers the terminal: see `shown`. Its lines stay lines.
    package static func error(_ text: String) {
        write(text.split(separator: "\n", omittingEmptySubsequences: false).map { shown(String($0)) + "\n" }.joined(), to: 2)
    }
    package static func result(_ text: String) { write(text + "\n", to: 1) }

    package static func write(_ text: String, to number: Int32) {
        let stream = Descriptor(owning: number)
        try? stream.write(Array(text.utf8))
        _ = stream.release()
    }
}

package enum LogLevel: String, CaseIterable, ExpressibleByArgument, Sendable {
    case error, warning, info, debug
    var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    package static var allValueDescriptions: [String: String] {
        [
            error.rawValue: "Failures only.", warning.rawValue: "Also what is not exactly as before.",
            info.rawValue: "Also what was done.", debug.rawValue: "Also each stage and its time.",
        ]
    }
}

package enum ProgressStyle: String, CaseIterable, ExpressibleByArgument, Sendable {
    case auto, live, lines, none

    package static var allValueDescriptions: [String: String] {
        [
            auto.rawValue: "Live on a terminal, lines elsewhere.", live.rawValue: "One line that changes.",
            lines.rawValue: "One line for each stage.", none.rawValue: "Nothing.",
        ]
    }
}

/// Options that all commands share.
package struct CommonOptions: ParsableArguments {
    @Option(name: .long, help: ArgumentHelp("Print log lines of this level and above to standard error.", valueName: "LEVEL"))
    package var logLevel: LogLevel = .warning

    @Option(
        name: .long, help: ArgumentHelp("Append the log, with all levels, to this file as well.", valueName: "FILE"),
        completion: .file())
    package var logFile: String?

    @Flag(name: .long, help: "Print results and errors as JSON.")
    package var json = false

    @Option(name: .long, help: ArgumentHelp("How to show progress on standard error.", valueName: "STYLE"))
    package var progress: ProgressStyle = .auto

    package init() {}
}

/// The log: lines of a level and above go to standard error, lines of all levels to the file of `--log-file`.
package final class Log {
    private let level: LogLevel
    private let file: Int32?

    package init(_ options: CommonOptions) {
        level = options.logLevel
        file = options.logFile.flatMap { try? Descriptor.openForAppending($0).release() }
        if let path = options.logFile, file == nil { Messages.error("cannot write log \(path)") }
    }

    /// Writes a note, which is shown at every level.
    package func note(_ text: String) {
        let text = shown(text)
        Messages.error("note: \(text)")
        if let file { Messages.write("note: \(text)\n", to: file) }
    }

    package func write(_ level: LogLevel, _ text: String) {
        let text = shown(text)
        if level.rank <= self.level.rank { Messages.error("\(level.rawValue): \(text)") }
        if let file { Messages.write("\(level.rawValue): \(text)\n", to: file) }
    }
}

/// Progress: one live line on a terminal, one line per stage elsewhere.
package final class ProgressLine {
    private let style: ProgressStyle
    private var stage = ""
    private var begin: Int64 = 0
    private var lastShown: Int64 = 0
    private var isShown = false
    private let start = SystemClock.monotonic.now()

    /// Time since the command began.
    package var milliseconds: Int64 { (SystemClock.monotonic.now() - start) / 1_000_000 }

    package init(_ style: ProgressStyle, quiet: Bool) {
        if style == .auto {
            self.style = quiet ? .none : Terminal.isTerminal(2) ? .live : .lines
        } else {
            self.style = style
        }
    }

    /// Shows how far a stage is. True if this is the first call for that stage.
    @discardableResult
    package func show(stage: String, done: UInt64, total: UInt64) -> Bool {
        let now = SystemClock.monotonic.now()
        let isNew = stage != self.stage
        if isNew {
            self.stage = stage
            begin = now
        }
        switch style {
        case .none, .auto: break
        case .lines: if isNew { Messages.error(stage) }
        case .live:
            guard isNew || now - lastShown > 100_000_000 || done == total else { break }
            lastShown = now
            var line = stage
            if total > 0 {
                let seconds = Double(now - begin) / 1e9
                let rate = seconds > 0 ? Double(done) / seconds : 0
                let left = rate > 0 ? Double(total - min(done, total)) / rate : 0
                line += "  \(done >> 20) of \(total >> 20) MiB  \(Int(rate) >> 20) MiB/s  \(Int(left.rounded(.up))) s left"
            }
            Messages.write("\r\u{1b}[K" + line, to: 2)
            isShown = true
        }
        return isNew
    }

    /// Removes the live line.
    package func end() {
        if isShown { Messages.write("\r\u{1b}[K", to: 2) }
        isShown = false
    }
}
