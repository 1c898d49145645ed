internal import ArgumentParser
internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI

/// Runs a subcommand: its error becomes one sentence on stderr and the exit status.
func reporting(_ path: String, _ body: () throws -> Void) throws {
    do { try body() } catch let error as ImageError {
        complain(error.sentence(image: path == "-" ? "on stdin" : printable(Array(path.utf8))))
        throw ExitCode(error.exitStatus)
    } catch let error as ImageInputError {
        complain("\(error)")
        throw ExitCode(1)
    }
}

/// One line to stderr.
func complain(_ line: String) {
    let standardError = Descriptor(owning: 2)
    try? standardError.write(Array("crimage: \(shown(line))\n".utf8))
    _ = standardError.release()
}

/// A word of a command line, in quotes where a shell would need them.
func quoted(_ bytes: [UInt8]) -> String {
    let text = printable(bytes)
    let plain = text.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...:
            true
        default: "-_./,:=+@%".utf8.contains($0)
        }
    }
    return plain && !text.isEmpty ? text : "'\(text)'"
}

/// A size with its unit, e.g. `12.0 KiB`.
func size(_ bytes: UInt64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"]
    if bytes < 1024 { return "\(bytes) B" }
    var tenths = (bytes > UInt64.max / 10 ? UInt64.max : bytes * 10) / 1024
    for unit in units {
        if tenths < 10240 || unit == units.last { return "\(tenths / 10).\(tenths % 10) \(unit)" }
        tenths /= 1024
    }
    return ""
}

func counted(_ count: Int, _ noun: String, _ plural: String? = nil) -> String {
    count == 1 ? "1 \(noun)" : "\(count) \(plural ?? noun + "s")"
}

func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

/// Rows whose columns stand below each other; the columns in `right` are moved to the right.
func table(_ rows: [[String]], right: Set<Int> = [], indent: String = "") -> String {
    var widths: [Int] = []
    for row in rows {
        for (column, cell) in row.enumerated() {
            if column == widths.count { widths.append(0) }
            widths[column] = max(widths[column], cell.count)
        }
    }
    var text = ""
    for row in rows {
        var line = indent
        for (column, cell) in row.enumerated() {
            let fill = String(repeating: " ", count: widths[column] - cell.count)
            line += right.contains(column) ? fill + cell : cell + (column == row.count - 1 ? "" : fill)
            if column < row.count - 1 { line += "  " }
        }
        while line.last == " " { line.removeLast() }
        text += line + "\n"
    }
    return text
}
