import LinuxABI
import Testing

struct PrintableTests {
    @Test(arguments: [
        ("plain-name_1 x", "plain-name_1 x"),
        ("", ""),
        ("Zürich 漢字 e\u{301} 🙂", "Zürich 漢字 e\u{301} 🙂"),
        ("line\nend\ttab", #"line\nend\ttab"#),
        ("\u{1b}[31mred", #"\e[31mred"#),
        ("\0\r\u{7f}", #"\x00\x0d\x7f"#),
        ("back\\slash \\n", #"back\\slash \\n"#),
        ("next\u{85}line", #"next\xc2\x85line"#),
        ("gpj.\u{202e}exe", #"gpj.\xe2\x80\xaeexe"#),
        ("zero\u{200b}width\u{feff}", #"zero\xe2\x80\x8bwidth\xef\xbb\xbf"#),
        ("a\u{2028}b", #"a\xe2\x80\xa8b"#),
        ("tag\u{e0041}", #"tag\xf3\xa0\x81\x81"#),
        ("private\u{e000}", #"private\xee\x80\x80"#),
    ])
    func validText(_ text: String, _ expected: String) { #expect(printable(Array(text.utf8)) == expected) }

    @Test(arguments: [
        ([0x61, 0xff, 0x62], #"a\xffb"#),
        ([0xc3], #"\xc3"#),
        ([0xc3, 0x28], #"\xc3("#),
        // Overlong forms, halves of surrogate pairs, and what lies above U+10FFFF.
        ([0xc0, 0xaf], #"\xc0\xaf"#),
        ([0xed, 0xa0, 0x80], #"\xed\xa0\x80"#),
        ([0xf4, 0x90, 0x80, 0x80], #"\xf4\x90\x80\x80"#),
        ([0xe2, 0x80, 0x0a], #"\xe2\x80\n"#),
        ([0xf0, 0x9f, 0x99, 0x82, 0xf0, 0x9f], #"🙂\xf0\x9f"#),
    ] as [([UInt8], String)])
    func otherBytes(_ bytes: [UInt8], _ expected: String) { #expect(printable(bytes) == expected) }

    /// Undoes the escapes.
    private func bytes(of text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "n"): bytes.append(10)
            case UInt8(ascii: "t"): bytes.append(9)
            case UInt8(ascii: "e"): bytes.append(27)
            case UInt8(ascii: "\\"): bytes.append(92)
            case UInt8(ascii: "x"):
                guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: return nil
            }
        }
        return bytes
    }

    @Test func differentNamesStayDifferent() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<5000 {
            let interesting: [UInt8] = [0x5c, 0x6e, 0x78, 0x0a, 0x1b, 0x9b, 0xc2, 0xe2, 0x80, 0xae, 0xf0, 0x9f, 0x41, 0xff]
            let name = (0..<Int.random(in: 0...12, using: &generator)).map { _ in
                Bool.random(using: &generator)
                    ? interesting.randomElement(using: &generator)! : UInt8.random(in: 0...255, using: &generator)
            }
            let text = printable(name)
            #expect(bytes(of: text) == name)
            #expect(!text.unicodeScalars.contains { $0.value < 0x20 || (0x7f...0x9f).contains($0.value) })
        }
    }

    @Test(arguments: [
        ("plain text", "plain text"), ("already \\x1b[0m", "already \\x1b[0m"), ("Zürich 🙂", "Zürich 🙂"),
        ("a\u{1b}[31mb\u{7f}\u{9b}c\nd\u{202e}", "a\\e[31mb\\x7f\\xc2\\x9bc\\nd\\xe2\\x80\\xae"),
    ])
    func sentencesSteerNoTerminal(text: String, expected: String) {
        #expect(shown(text) == expected)
        #expect(shown(expected) == expected)
    }

    @Test func jsonHoldsNoControlCharacters() {
        #expect(jsonString("a\"b\\c\n\t\u{1b}\u{7f}\u{85}\u{9f}é\u{202e}\u{e0001}") == #""a\"b\\c\n\t\u001b\u007f\u0085\u009fé\u202e\udb40\udc01""#)
    }
}
