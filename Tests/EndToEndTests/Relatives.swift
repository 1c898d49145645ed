import Foundation

/// The relations of a process: parent, group, session, by the numbers of its own pid namespace.
struct Relative: Equatable, CustomStringConvertible {
    var pid: pid_t
    var parent: pid_t
    var group: pid_t
    var session: pid_t
    var isZombie: Bool

    var description: String { "\(pid)\(isZombie ? " (zombie)" : "") of \(parent), group \(group), session \(session)" }

    /// The session and group of the root, where their leaders are outside of the tree; 0: there is none.
    struct Outside {
        var session: pid_t = 0
        var group: pid_t = 0
    }

    /// The process and all its descendants, by pid. The root's parent, and a session and group outside of the tree, are
    /// noted as 0.
    static func tree(of root: pid_t, outside: Outside = Outside()) -> [Relative] {
        let entries = ProcessTable.tree(of: root)
        var inner: [pid_t: pid_t] = [:]
        var found: [Relative] = []
        for entry in entries {
            guard let numbers = numbers(of: entry.pid) else { continue }
            inner[entry.pid] = numbers.pid
            found.append(
                Relative(
                    pid: numbers.pid, parent: entry.pid == root ? 0 : inner[entry.parent] ?? -1,
                    group: numbers.group == outside.group ? 0 : numbers.group,
                    session: numbers.session == outside.session ? 0 : numbers.session, isZombie: entry.state == "Z"))
        }
        return found.sorted { $0.pid < $1.pid }
    }

    /// The last number of each line, which is the one in the process's own pid namespace.
    private static func numbers(of pid: pid_t) -> (pid: pid_t, group: pid_t, session: pid_t)? {
        guard let text = try? ProcessTable.text("/proc/\(pid)/status") else { return nil }
        var values: [Substring: pid_t] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("NS") {
            let fields = line.split(whereSeparator: \.isWhitespace)
            if let last = fields.last.flatMap({ pid_t($0) }) { values[fields[0]] = last }
        }
        guard let own = values["NSpid:"], let group = values["NSpgid:"], let session = values["NSsid:"] else { return nil }
        return (own, group, session)
    }
}
