import FoundationEssentials
import HeaderConstants
import Testing

/// `docs/state.md` names everything that the kernel of this machine enumerates, nothing else, and tests that exist.
@Suite struct StateDocumentTests {
    struct Row: Sendable {
        var names: [String]
        var fate: String
        var reason: String
        var shownBy: [String]
        var line: String
    }

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: path.hasPrefix("/") ? URL(filePath: path) : root.appending(path: path), encoding: .utf8)
    }

    /// What stands between backquotes.
    private static func quoted(_ cell: Substring) -> [String] {
        cell.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    static func rows() throws -> [Row] {
        try text("docs/state.md").split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
            guard cells.count == 6, !cells[1].contains("---"), !["names", "what"].contains(cells[1].filter { $0 != " " }) else { return nil }
            return Row(
                names: quoted(cells[1]), fate: cells[2].filter { $0 != " " }, reason: String(cells[3]), shownBy: quoted(cells[4]),
                line: String(line.prefix(120)))
        }
    }

    // MARK: What the kernel enumerates

    /// Names that a header defines, and those in its enumerations.
    private static func defined(in header: String, _ prefixes: [String]) throws -> [String] {
        let folders = ["/usr/include/", "/usr/include/x86_64-linux-gnu/", "/usr/include/aarch64-linux-gnu/"]
        guard let text = folders.lazy.compactMap({ try? self.text($0 + header) }).first else { return [] }
        return text.split(separator: "\n").compactMap { line in
            var words = line.split { $0 == " " || $0 == "\t" || $0 == "," || $0 == "(" }[...]
            if words.first == "#" { words = words.dropFirst() }
            let name: Substring?
            if words.first == "#define" || words.first == "define" {
                name = words.dropFirst().first
            } else {
                name = words.dropFirst().first == "=" ? words.first : nil
            }
            return name.flatMap { name in prefixes.contains { name.hasPrefix($0) } ? String(name) : nil }
        }
    }

    private static let headers: [(header: String, prefixes: [String])] = [
        ("linux/prctl.h", ["PR_"]), ("asm/prctl.h", ["ARCH_"]), ("linux/fcntl.h", ["F_", "DN_", "RWH_", "RWF_"]),
        ("asm-generic/fcntl.h", ["F_", "FD_", "LOCK_", "O_"]), ("asm-generic/mman-common.h", ["MADV_", "MAP_", "PROT_", "MLOCK_"]),
        ("asm-generic/mman.h", ["MAP_", "MCL_"]), ("linux/mman.h", ["MAP_"]), ("asm-generic/resource.h", ["RLIMIT_"]),
        ("asm-generic/socket.h", ["SO_"]), ("linux/in.h", ["IP_", "MCAST_"]), ("linux/in6.h", ["IPV6_"]), ("linux/udp.h", ["UDP_"]),
        ("linux/if_packet.h", ["PACKET_"]), ("linux/netlink.h", ["NETLINK_"]),
        ("linux/sched.h", ["CLONE_", "SCHED_FLAG_"]), ("linux/memfd.h", ["MFD_"]), ("linux/membarrier.h", ["MEMBARRIER_CMD_"]),
        (
            "linux/personality.h",
            [
                "PER_", "ADDR_", "FDPIC_", "MMAP_", "READ_IMPLIES_EXEC", "SHORT_INODE", "WHOLE_SECONDS", "STICKY_TIMEOUTS", "UNAME26",
            ]
        ),
    ]

    private static func entries(of directory: String, as prefix: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).map { prefix + $0 }
    }

    /// The names before the colons of a text.
    private static func fields(of path: String, as prefix: String) -> [String] {
        (try? text(path))?.split(separator: "\n").compactMap { line in
            line.firstIndex(of: ":").map { prefix + line[..<$0].split(separator: " ").joined(separator: " ") }
        } ?? []
    }

    /// Lines of fdinfo of each kind of file that has some of its own.
    private static func descriptorFields() -> [String] {
        let all = (Int32(0)..<5).map { header_descriptor($0) }
        defer { for number in all { header_descriptor_close(number) } }
        return all.flatMap { fields(of: "/proc/self/fdinfo/\($0)", as: "fdinfo:") }.map { String($0.prefix { $0 != " " }) }
    }

    /// Constants of `LinuxABI`, which knows more than old headers do.
    private static func own() throws -> [String] {
        let prefixes = ["PR_", "ARCH_", "F_", "FD_", "LOCK_", "MADV_", "MAP_", "PROT_", "MCL_", "MLOCK_", "RLIMIT_", "CLONE_", "MFD_", "O_", "FASYNC"]
        return try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "Sources/LinuxABI").path).flatMap { file in
            try text("Sources/LinuxABI/\(file)").split(separator: "\n").compactMap { line -> String? in
                let words = line.split(separator: " ")
                guard words.starts(with: ["package", "static", "let"]), words.count > 3 else { return nil }
                let name = String(words[3].dropLast())
                return prefixes.contains { name.hasPrefix($0) } ? name : nil
            }
        }
    }

    static func enumerated() throws -> Set<String> {
        var names = Set(try headers.flatMap { try defined(in: $0.header, $0.prefixes) })
        names.formUnion(try own())
        names.formUnion(entries(of: "/proc/self", as: "/proc/PID/"))
        names.formUnion(entries(of: "/proc/thread-self", as: "/proc/PID/"))
        names.formUnion(entries(of: "/proc/self/ns", as: "ns:"))
        names.formUnion(fields(of: "/proc/self/status", as: "status:"))
        names.formUnion(descriptorFields())
        for line in try text("Sources/Kernel/MappingFlags.swift").split(separator: "\n") where line.contains("(\"") {
            for part in line.split(separator: "(\"").dropFirst() { names.insert("VmFlags:" + part.prefix(2)) }
        }
        let scheduling = try text("/usr/include/linux/sched/types.h")
        let start = try #require(scheduling.firstRange(of: "struct sched_attr {"))
        for line in scheduling[start.upperBound...].prefix(while: { $0 != "}" }).split(separator: "\n") {
            let words = line.split { " \t;".contains($0) }
            if words.count > 1, words[0].hasPrefix("__") { names.insert("sched_attr:" + words[1]) }
        }
        let objects = try text("Protos/file.proto")
        let oneof = try #require(objects.firstRange(of: "oneof object {"))
        for line in objects[oneof.upperBound...].prefix(while: { $0 != "}" }).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count > 2, words[2] == "=" { names.insert("object:" + words[1]) }
        }
        return names
    }

    // MARK: What the document has to say

    private static func covers(_ pattern: String, _ name: String) -> Bool {
        pattern.hasSuffix("*") ? name.hasPrefix(pattern.dropLast()) : name == pattern
    }

    /// Guards of headers, and the like.
    private static func isState(_ name: String) -> Bool { !name.hasSuffix("_H") }

    @Test func nothingIsMissing() throws {
        let patterns = Set(try Self.rows().flatMap(\.names))
        let names = try Self.enumerated().filter(Self.isState)
        #expect(names.count > 500)
        let missing = names.filter { name in !patterns.contains(name) && !patterns.contains { Self.covers($0, name) } }
        #expect(missing.isEmpty, "docs/state.md does not say what becomes of \(missing.sorted().joined(separator: ", "))")
    }

    /// A name that only other kernels or processors have stands without backquotes.
    @Test func nothingIsUnknown() throws {
        let names = try Self.enumerated()
        // One row for each.
        let patterns = try Self.rows().flatMap(\.names)
        #expect(Set(patterns).count == patterns.count, "twice: \(Dictionary(grouping: patterns) { $0 }.filter { $0.value.count > 1 }.keys.sorted())")
        // Files and fields that the kernel of this machine was built without.
        let optional = ["/proc/PID/", "status:", "fdinfo:", "ns:"]
        for pattern in patterns where !names.contains(pattern) {
            let isKnown = names.contains { Self.covers(pattern, $0) } || optional.contains { pattern.hasPrefix($0) }
            #expect(isKnown, "\(pattern) of docs/state.md is nothing that this machine knows")
        }
    }

    @Test func everyRowHasAFateAndIsShown() throws {
        let rows = try Self.rows()
        #expect(rows.count > 120)
        let workloads = Set(
            try Self.text("Tests/Workloads/main.c").split(separator: "\n").compactMap { line -> String? in
                line.hasPrefix("    {\"") ? line.dropFirst(6).split(separator: "\"").first.map(String.init) : nil
            })
        #expect(workloads.count > 40)
        for row in rows {
            #expect(["saved", "refused", "different", "none"].contains(row.fate), "\(row.line)")
            #expect(!row.line.contains("TODO") && !row.reason.contains("TODO"), "not looked at yet: \(row.line)")
            if row.fate == "saved" || row.fate == "refused" { #expect(!row.shownBy.isEmpty, "nothing shows it: \(row.line)") }
            if row.fate == "different" { #expect(row.reason.contains { $0 != " " }, "no reason: \(row.line)") }
            for one in row.shownBy {
                let words = one.split(separator: " ")
                if words.first == "Workloads" {
                    #expect(words.count == 2 && workloads.contains(String(words[1])), "\(one) is no workload: \(row.line)")
                } else {
                    let isTest = try Self.isTest(one)
                    #expect(isTest, "\(one) is no test: \(row.line)")
                }
            }
        }
    }

    /// `File.function`
    private static func isTest(_ name: String) throws -> Bool {
        let parts = name.split(separator: ".")
        guard parts.count == 2 else { return false }
        let tests = root.appending(path: "Tests").path
        let folders = try FileManager.default.contentsOfDirectory(atPath: tests)
        for folder in folders {
            if let text = try? text("Tests/\(folder)/\(parts[0]).swift"), text.contains("func \(parts[1])(") { return true }
        }
        return false
    }
}
