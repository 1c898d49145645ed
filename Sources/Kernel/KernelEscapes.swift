// How the kernel writes names in text files of /proc: a character that would break the line is a backslash and
// three octal digits. Which characters these are differs from file to file.
//
// Source: fs/seq_file.c, `mangle_path`; fs/proc/task_mmu.c and fs/proc_namespace.c.

private let backslash = UInt8(ascii: "\\")
private let lineEnd = Array("\\012".utf8)

/// A name of `mountinfo` or `mounts`. Blanks, tabs, line ends and backslashes are escaped there: each escape
/// stands for one byte, and nothing is ambiguous.
func unescapingMountField(_ field: ArraySlice<UInt8>) -> [UInt8] {
    guard field.contains(backslash) else { return Array(field) }
    var bytes: [UInt8] = []
    var index = field.startIndex
    while index < field.endIndex {
        if field[index] == backslash, let code = octal(field.dropFirst(index - field.startIndex + 1).prefix(3)) {
            bytes.append(code)
            index += 4
        } else {
            bytes.append(field[index])
            index += 1
        }
    }
    return bytes
}

/// A name of `maps` or `smaps`. Only line ends are escaped there, backslashes are not: a name that holds a
/// backslash and the digits 012 looks the same as one with a line end.
func unescapingLineEnds(_ name: ArraySlice<UInt8>) -> [UInt8] {
    guard name.contains(backslash) else { return Array(name) }
    var bytes: [UInt8] = []
    var rest = name
    while let byte = rest.first {
        if rest.starts(with: lineEnd) {
            bytes.append(.newline)
            rest = rest.dropFirst(lineEnd.count)
        } else {
            bytes.append(byte)
            rest = rest.dropFirst()
        }
    }
    return bytes
}

/// The other reading of a name of `maps`: no line end is one.
func escapingLineEnds(_ name: [UInt8]) -> [UInt8] { name.flatMap { $0 == .newline ? lineEnd : [$0] } }

/// Three octal digits of one byte.
private func octal(_ digits: ArraySlice<UInt8>) -> UInt8? {
    guard digits.count == 3 else { return nil }
    var value = 0
    for digit in digits {
        guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { return nil }
        value = value << 3 | Int(digit - UInt8(ascii: "0"))
    }
    return UInt8(exactly: value)
}
