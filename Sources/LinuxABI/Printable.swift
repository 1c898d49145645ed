/// Text that shows a name made of any bytes (a path, a command name) and can be sent to a terminal.
///
/// Characters of valid UTF-8 stand for themselves. Written as `\n`, `\t`, `\e` and otherwise as `\xNN`, one
/// for each byte, are: control characters (C0, DEL, C1), which would steer the terminal; format characters
/// (direction marks, zero-width characters) and line separators, which would show another name than there
/// is; characters that no version of Unicode assigns; bytes that are not UTF-8. A backslash is doubled, so
/// that two different names never give the same text.
package func printable(_ bytes: [UInt8]) -> String {
    if bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\\") }) {
        return String(decoding: bytes, as: UTF8.self)
    }
    var text = ""
    var parser = Unicode.UTF8.ForwardParser()
    var input = bytes.makeIterator()
    var done = 0
    while true {
        switch parser.parseScalar(from: &input) {
        case .emptyInput:
            return text
        case .error(let length):
            appendEscapes(of: bytes[done..<(done + length)], to: &text)
            done += length
        case .valid(let encoded):
            let scalar = Unicode.UTF8.decode(encoded)
            if isShown(scalar) {
                text.unicodeScalars.append(scalar)
            } else if scalar == "\\" {
                text += "\\\\"
            } else {
                appendEscapes(of: bytes[done..<(done + encoded.count)], to: &text)
            }
            done += encoded.count
        }
    }
}

private func isShown(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
    default: scalar != "\\"
    }
}

private func appendEscapes(of bytes: ArraySlice<UInt8>, to text: inout String) {
    for byte in bytes {
        switch byte {
        case UInt8(ascii: "\n"): text += "\\n"
        case UInt8(ascii: "\t"): text += "\\t"
        case 0x1b: text += "\\e"
        default: text += (byte < 16 ? "\\x0" : "\\x") + String(byte, radix: 16)
        }
    }
}
