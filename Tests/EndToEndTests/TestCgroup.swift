import Foundation

/// A control group of one test, directly below the top of a hierarchy. It is removed when this object is.
final class TestCgroup {
    /// As `--cgroup-root` and the commands spell it: `freezer`, or `v2`.
    let hierarchy: String
    /// The path from the top of the hierarchy.
    let path: String
    private let mountPoint: String
    private var made: [String] = []

    var directory: String { mountPoint + path }

    /// Nil: this machine has no such hierarchy, or it cannot be written to.
    init?(_ hierarchy: String) {
        let table = (try? ProcessTable.text("/proc/self/mountinfo")) ?? ""
        let wanted = hierarchy == "v2" ? " - cgroup2 " : " - cgroup "
        let line = table.split(separator: "\n").first { line in
            line.contains(wanted) && (hierarchy == "v2" || line.split(separator: ",").contains { $0 == hierarchy })
        }
        guard let fields = line?.split(separator: " "), fields.count > 4, fields[3] == "/" else { return nil }
        self.hierarchy = hierarchy
        mountPoint = String(fields[4])
        path = "/treerestore-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        guard make("") else { return nil }
    }

    deinit { removeAll() }

    @discardableResult
    func make(_ name: String) -> Bool {
        let done = mkdir(directory + name, 0o755) == 0
        if done { made.append(directory + name) }
        return done
    }

    func write(_ name: String, _ text: String) throws {
        guard let file = FileHandle(forWritingAtPath: directory + name) else { throw HarnessError("cannot open \(name)") }
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    /// Removes it. Tasks that have just ended can still be in it for a moment, so this is tried again.
    func removeAll() {
        for path in made.reversed() { _ = Clock.wait(seconds: 5) { rmdir(path) == 0 || errno == ENOENT } }
        made = []
    }
}
