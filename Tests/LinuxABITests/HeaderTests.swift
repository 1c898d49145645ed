import FoundationEssentials
import HeaderConstants
import LinuxABI
import Testing

/// Compares the numbers of `LinuxABI`, read from its source, with the C headers of this machine.
///
/// Read from the source: Swift cannot enumerate static constants, and a table of them in a test would only
/// hold those that its author thought of.
struct HeaderTests {
    struct Constant: Sendable {
        var family: String
        var name: String
        var type: String
        var literal: String

        var value: UInt64? {
            var digits = literal.replacing("_", with: "")
            let isNegative = digits.hasPrefix("-")
            if isNegative { digits.removeFirst() }
            let radix = digits.hasPrefix("0x") ? 16 : digits.hasPrefix("0o") ? 8 : 10
            guard let value = UInt64(radix == 10 ? digits : String(digits.dropFirst(2)), radix: radix) else { return nil }
            return isNegative ? 0 &- value : value
        }

        /// The bits of its type.
        var mask: UInt64 {
            switch type {
            case "Int16", "UInt16": 0xffff
            case "Int32", "UInt32": 0xffff_ffff
            default: .max
            }
        }
    }

    /// Every `package static let` of the target, for the architecture of this machine.
    private static func constants() throws -> [Constant] {
        let sources = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Sources/LinuxABI")
        var found: [Constant] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: sources.path) {
            var family = ""
            // Nil outside of `#if arch(arm64)`, else: is this the half for arm64?
            var armHalf: Bool?
            for line in try String(contentsOf: sources.appending(path: name), encoding: .utf8).split(separator: "\n") {
                let words = line.split(separator: " ")
                if words.starts(with: ["package", "enum"]) { family = String(words[2]) }
                if words.first == "#if" { armHalf = true }
                if words.first == "#else" { armHalf = false }
                if words.first == "#endif" { armHalf = nil }
                guard words.starts(with: ["package", "static", "let"]), words.count == 7 else { continue }
                #if arch(arm64)
                    if armHalf == false { continue }
                #else
                    if armHalf == true { continue }
                #endif
                found.append(
                    Constant(
                        family: family, name: String(words[3].dropLast()), type: String(words[4]), literal: String(words[6])))
            }
        }
        return found
    }

    private static let headers: [String: UInt64] = {
        var table: [String: UInt64] = [:]
        for entry in UnsafeBufferPointer(start: header_constants_table(), count: header_constant_count) {
            table[String(cString: entry.name)] = UInt64(bitPattern: entry.value)
        }
        return table
    }()

    /// Names that the table of the headers leaves out, with the reason.
    private static let notOfHeaders: Set = [
        "SIGRTMIN", "SIGRTMAX",  // the C library's are functions, and keep signals for the library itself
        "RLIM_INFINITY",  // checked below
        "all",  // several of them
        "TCP_REPAIR_OFF_NO_WP",  // -1
    ]

    @Test func numbersAreThoseOfTheHeaders() throws {
        let constants = try Self.constants()
        #expect(constants.count > 1000)
        let unknown = UInt64(bitPattern: header_constant_unknown)
        var compared = 0
        for constant in constants where !Self.notOfHeaders.contains(constant.name) {
            let value = try #require(constant.value, "\(constant.family).\(constant.name) is no literal")
            #if !arch(x86_64)
                if constant.family == "ArchPrctl" { continue }
            #endif
            guard let theirs = Self.headers[constant.name] else {
                Issue.record("\(constant.name) is not in Tests/HeaderConstants")
                continue
            }
            if theirs == unknown { continue }
            compared += 1
            #expect(
                value & constant.mask == theirs & constant.mask,
                "\(constant.family).\(constant.name) is \(constant.literal), the headers say \(theirs)")
        }
        #expect(compared > 900)
    }

    @Test func numbersThatTheLibraryHidesAreTheKernels() {
        #expect(Signal.SIGRTMIN == 32 && Signal.SIGRTMAX == 64)
        #expect(Rlimit.RLIM_INFINITY == .max)
        #expect(Int64(bitPattern: At.AT_FDCWD) == -100)
    }

    @Test func errorNamesAndNumbersAgree() throws {
        for constant in try Self.constants() where constant.family == "Errno" {
            let value = Int32(try #require(constant.value))
            guard value < 512 else { continue }
            #expect(ErrnoName.of(value) == constant.name)
            #expect(ErrnoName.number(of: constant.name) == value)
        }
        #expect(ErrnoName.number(of: "EWHAT") == nil)
    }

    @Test func masks() {
        #expect(Signal.mask(Signal.SIGHUP, Signal.SIGRTMAX) == 0x8000_0000_0000_0001)
        #expect(Capability.set(Capability.CAP_SYS_ADMIN, Capability.CAP_CHOWN) == 0x20_0001)
    }
}
