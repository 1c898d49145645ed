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

/// Text made of names and other words, of which some may come from an image or from the kernel as they are: what would
/// steer the terminal, or show another text than there is, is written as `printable` writes it. What is escaped already stays
/// as it is.
package func shown(_ text: String) -> String {
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return text }
    var result = ""
    for scalar in text.unicodeScalars {
        if isShown(scalar) || scalar == "\\" {
            result.unicodeScalars.append(scalar)
        } else {
            appendEscapes(of: Array(String(scalar).utf8)[...], to: &result)
        }
    }
    return result
}

/// A string as JSON writes it: pure ASCII but for characters that can be shown.
package func jsonString(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\t": result += "\\t"
        default:
            if isShown(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            }
        }
    }
    return result + "\""
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
