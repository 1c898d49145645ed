import CKernel
import Foundation
import Testing

/// A directory and the processes of one test.
///
/// Every process of a test carries a mark in its environment, which a restart brings back. The test
/// process adopts orphans, so no process of a test can leave its tree.
final class Scratch {
    let path: String
    private let mark: String
    private var children: [Child] = []
    private var count = 0

    private static let adoptsOrphans: Bool = ckernel_prctl(36, 1, 0, 0, 0) == 0  // PR_SET_CHILD_SUBREAPER

    init() throws {
        guard Scratch.adoptsOrphans else { throw HarnessError("cannot adopt orphans") }
        var template = Array("/tmp/treerestore-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError("cannot make a temporary directory") }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        mark = "TREERESTORE_TEST=" + path
        // Workloads change their user, and still write to the directory.
        chmod(path, 0o777)
        try FileManager.default.createDirectory(atPath: path + "/tmp", withIntermediateDirectories: false)
    }

    // MARK: Files

    func file(_ name: String) -> String { path + "/" + name }
    func exists(_ name: String) -> Bool { access(file(name), F_OK) == 0 }
    /// Whether a file is there that ends in a whole line: what is written by `echo` is there in full, not only made.
    func hasLine(_ name: String) -> Bool { read(name).hasSuffix("\n") }
    func read(_ name: String) -> String { (try? String(contentsOfFile: file(name), encoding: .utf8)) ?? "" }
    func bytes(_ name: String) -> [UInt8] { FileManager.default.contents(atPath: file(name)).map(Array.init) ?? [] }
    func remove(_ name: String) { try? FileManager.default.removeItem(atPath: file(name)) }

    func write(_ name: String, _ bytes: [UInt8] = []) throws {
        guard FileManager.default.createFile(atPath: file(name), contents: Data(bytes)) else {
            throw HarnessError("cannot write \(name)")
        }
    }

    // MARK: Processes

    /// Starts a program in a session of its own.
    func start(_ arguments: [String], environment: [String: String] = [:]) throws -> Child {
        count += 1
        var complete = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
            "TMPDIR": file("tmp"), "TREERESTORE_TEST": path,
        ]
        complete.merge(environment) { $1 }
        let child = try Child(
            arguments, environment: complete, outputPath: file("\(count).out"), errorPath: file("\(count).err"))
        children.append(child)
        return child
    }

    /// Starts one of the built commands.
    func start(_ tool: String, _ arguments: [String]) throws -> Child {
        try start([Host.path(of: tool)] + arguments)
    }

    /// Runs a program to its end.
    @discardableResult
    func run(_ arguments: [String], seconds: Double = 60, environment: [String: String] = [:]) throws -> Finished {
        let child = try start(arguments, environment: environment)
        // Reaps orphans meanwhile, because commands wait for pids to become free.
        let status = try child.wait(seconds: seconds) { reapOrphans() }
        children.removeAll { $0 === child }
        return Finished(arguments: arguments, status: status, output: child.output, errors: child.errors)
    }

    /// Runs one of the built commands to its end.
    @discardableResult
    func run(_ tool: String, _ arguments: [String], seconds: Double = 60) throws -> Finished {
        try run([Host.path(of: tool)] + arguments, seconds: seconds)
    }

    /// Living processes of this test: those with its mark, and orphans in other sessions than the test process's own,
    /// because a task that is not complete has no environment.
    func living() -> [ProcessEntry] {
        let mine = getsid(0)
        let entries = ProcessTable.all().filter { $0.state != "Z" && $0.state != "X" }
        let adopted = Set(ProcessTable.tree(of: getpid()).map(\.pid))
        return entries.filter { entry in
            if entry.pid == getpid() { return false }
            if adopted.contains(entry.pid) && entry.session != mine { return true }
            let environment = ProcessTable.environment(of: entry.pid)
            return environment.split(separator: 0).contains { $0.elementsEqual(mark.utf8) }
        }
    }

    /// Reaps orphans that the test process adopted, so that their pids are free again. Gives the number of those that
    /// remain.
    @discardableResult
    func reapOrphans() -> Int {
        // A restarted root has the pid of a child that has ended.
        let known = Set(children.filter { $0.poll() == nil }.map(\.pid))
        var left = 0
        for pid in ProcessTable.children(of: getpid()) where !known.contains(pid) {
            guard let entry = ProcessEntry(pid), entry.session != getsid(0) else { continue }
            var status: Int32 = 0
            if entry.state != "Z" || waitpid(pid, &status, WNOHANG) != pid { left += 1 }
        }
        return left
    }

    /// Whether nothing of the test is alive, and all its pids are free. In this order: what ends in between leaves its dead
    /// children to the test process.
    var isEmpty: Bool { living().isEmpty && reapOrphans() == 0 }

    /// Waits until nothing of the test is alive, and all its pids are free.
    ///
    /// What is still there when the time is over is printed: a test that fails tells it.
    func becomesEmpty(seconds: Double = 10) -> Bool {
        let isDone = Clock.wait(seconds: seconds) {
            children.forEach { _ = $0.poll() }
            return isEmpty
        }
        if !isDone {
            let orphans = ProcessTable.children(of: getpid()).compactMap { ProcessEntry($0) }
            for one in living() + orphans { print("still there: \(one.pid) \(one.command) \(one.state), session \(one.session)") }
        }
        return isDone
    }

    /// Kills and reaps all remaining processes.
    func killAll() {
        children.forEach { $0.end() }
        _ = Clock.wait(seconds: 20) {
            living().forEach { kill($0.pid, SIGKILL) }
            return isEmpty
        }
    }

    deinit {
        killAll()
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// A program that ran to its end.
struct Finished {
    let arguments: [String]
    let status: ExitStatus
    let output: String
    let errors: String

    /// The lines on stderr that are not empty.
    var errorLines: [String] { errors.split(separator: "\n").map(String.init) }

    /// Records an issue unless it ended like this.
    @discardableResult
    func expect(_ code: Int32, sourceLocation: SourceLocation = #_sourceLocation) -> Finished {
        #expect(
            status == .exited(code), "\(arguments.joined(separator: " ")): \(output)\(errors)",
            sourceLocation: sourceLocation)
        return self
    }

    /// Throws unless it succeeded, because the rest of a test would make no sense.
    @discardableResult
    func require(sourceLocation: SourceLocation = #_sourceLocation) throws -> Finished {
        try #require(
            status == .exited(0), "\(arguments.joined(separator: " ")): \(output)\(errors)",
            sourceLocation: sourceLocation)
        return self
    }
}
