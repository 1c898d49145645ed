import Foundation

/// One line of the process table.
struct ProcessEntry {
    let pid: pid_t
    let parent: pid_t
    let group: pid_t
    let session: pid_t
    let state: Character
    let command: String

    /// Reads `/proc/PID/stat`; nil if there is no such process.
    init?(_ pid: pid_t) {
        guard let text = try? ProcessTable.text("/proc/\(pid)/stat"),
            let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: close)...].split(separator: " ")
        guard fields.count > 3, let parent = pid_t(fields[1]), let group = pid_t(fields[2]),
            let session = pid_t(fields[3])
        else { return nil }
        self.pid = pid
        self.parent = parent
        self.group = group
        self.session = session
        state = fields[0].first ?? "?"
        command = String(text[text.index(after: open)..<close])
    }
}

/// Questions to `/proc`.
enum ProcessTable {
    static func all() -> [ProcessEntry] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.compactMap { ProcessEntry($0) }
    }

    /// The process and all its descendants, parents first.
    static func tree(of root: pid_t) -> [ProcessEntry] {
        let children = Dictionary(grouping: all(), by: \.parent)
        var found = [ProcessEntry(root)].compactMap { $0 }
        var next = 0
        while next < found.count {
            found += children[found[next].pid] ?? []
            next += 1
        }
        return found
    }

    /// The children of a process, zombies included.
    static func children(of pid: pid_t) -> [pid_t] {
        let lists = threads(of: pid).map { tid in
            try? ProcessTable.text("/proc/\(pid)/task/\(tid)/children")
        }
        if lists.contains(where: { $0 != nil }) {
            return lists.flatMap { ($0 ?? "").split(separator: " ").compactMap { pid_t($0) } }
        }
        // A kernel without these lists.
        return all().filter { $0.parent == pid }.map(\.pid)
    }

    /// The thread numbers of a process.
    static func threads(of pid: pid_t) -> [pid_t] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []).compactMap { pid_t($0) }
    }

    /// Whether every thread is neither stopped nor traced.
    static func runs(_ pid: pid_t) -> Bool {
        let threads = threads(of: pid)
        return !threads.isEmpty
            && threads.allSatisfy { tid in
                let status = (try? ProcessTable.text("/proc/\(pid)/task/\(tid)/status")) ?? ""
                return !status.contains("State:\tT") && !status.contains("State:\tt")
                    && status.contains("TracerPid:\t0\n")
            }
    }

    /// The number of the system call that a task is blocked in; nil: in none.
    static func systemCall(of pid: pid_t) -> Int? {
        String(decoding: contents("syscall", of: pid), as: UTF8.self).split(separator: " ").first.flatMap { Int($0) }
    }

    static func mappings(of pid: pid_t) -> [String] {
        String(decoding: contents("maps", of: pid), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    static func environment(of pid: pid_t) -> Data { contents("environ", of: pid) }

    /// A whole file of /proc. `String(contentsOfFile:)` and `Data(contentsOf:)` ask for its size, which is zero, and take the first page for all.
    static func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

    private static func contents(_ name: String, of pid: pid_t) -> Data { (try? bytes("/proc/\(pid)/\(name)")) ?? Data() }

    private static func bytes(_ path: String) throws -> Data {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        return try file.readToEnd() ?? Data()
    }
}
