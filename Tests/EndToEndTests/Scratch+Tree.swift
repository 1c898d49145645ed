import Foundation
import Testing

/// The pid namespace that a tree is restarted in.
enum Place: String, CaseIterable, CustomTestStringConvertible {
    case namespace
    case here

    var options: [String] {
        switch self {
        case .namespace: ["--pidns"]
        case .here: ["--no-pidns", "--pids"]
        }
    }

    /// How often a tree is checkpointed and restarted in a row.
    var rounds: Int { 3 }

    var testDescription: String { options.joined(separator: " ") }
}

extension Scratch {
    /// Starts a workload and waits until it says that it is ready.
    ///
    /// - Parameter program: another build of the workloads than the usual one.
    func startWorkload(_ name: String, _ arguments: [String] = [], program: String? = nil) throws -> Child {
        let child = try start([program ?? Host.path(of: "Workloads"), name, path] + arguments)
        let ready = Clock.wait(seconds: 30) { exists("ready") || child.poll() != nil }
        guard ready, child.poll() == nil else {
            throw HarnessError("\(name) is not ready: \(child.output)\(child.errors)\(read("failures"))")
        }
        return child
    }

    /// Asks the workload to verify and end. `child` is the workload itself, or the crrestart that waits for it.
    func finishWorkload(
        _ name: String, _ child: Child, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        try write("finish")
        let status = try child.wait(seconds: 90)
        #expect(
            status == .exited(0) && read("result") == "OK \(name)\n",
            "\(name): \(status), \(read("result"))\(read("failures"))\(child.errors)", sourceLocation: sourceLocation)
        #expect(!exists("failures"), "\(read("failures"))", sourceLocation: sourceLocation)
    }

    /// Checkpoints a tree and ends it.
    @discardableResult
    func checkpointAndKill(
        _ root: pid_t, of child: Child, image: String = "image", options: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Finished {
        let finished = try run("crcheckpoint", ["--tree", "\(root)", "-o", file(image), "--kill", "--force"] + options)
        try requireEnd(finished, of: child, sourceLocation)
        return finished
    }

    private func requireEnd(_ finished: Finished, of child: Child, _ sourceLocation: SourceLocation) throws {
        try finished.require(sourceLocation: sourceLocation)
        try child.wait(seconds: 20)
        guard becomesEmpty() else { throw HarnessError("after --kill there are \(living().map(\.pid))") }
    }

    /// Checkpoints a tree and ends it. False: the tree came to its own end just before.
    func checkpointAndKillUnlessEnded(
        _ root: pid_t, of child: Child, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Bool {
        if child.poll() != nil { return false }
        let finished = try run("crcheckpoint", ["--tree", "\(root)", "-o", file("image"), "--kill", "--force"])
        if hasMissed(finished, child) { return false }
        try requireEnd(finished, of: child, sourceLocation)
        return true
    }

    /// Whether a checkpoint failed because the tree came to its end just before.
    func hasMissed(_ finished: Finished, _ child: Child) -> Bool {
        let isGone = ["it ended meanwhile", "it has ended and waits", "there is no such process"].contains {
            finished.errors.contains($0)
        }
        return isGone && Clock.wait(seconds: 20) { child.poll() != nil }
    }

    /// Starts a program and ends it with a checkpoint in the middle of its work. If the program was done before, it is
    /// started again and the checkpoint comes earlier.
    func checkpointAndKillMidway(
        after seconds: Double, sourceLocation: SourceLocation = #_sourceLocation, _ start: () throws -> Child
    ) throws {
        for attempt in 0..<6 {
            let child = try start()
            Clock.sleep(seconds / Double(1 << attempt))
            if try checkpointAndKillUnlessEnded(child.pid, of: child, sourceLocation: sourceLocation) { return }
            try child.wait(seconds: 20)
            try #require(becomesEmpty(), sourceLocation: sourceLocation)
        }
        Issue.record("it ended before the first checkpoint", sourceLocation: sourceLocation)
        throw HarnessError("too quick for \(seconds) s")
    }

    /// Restarts an image with a command that waits for the tree.
    ///
    /// - Returns: the command, and the pid of the tree's root in the pid namespace of the tests.
    func restart(
        _ place: Place, image: String = "image", options: [String] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> (command: Child, root: pid_t) {
        try restart(image: image, options: place.options + options, sourceLocation: sourceLocation)
    }

    /// - Parameter wrapper: a program that runs the command.
    func restart(
        image: String = "image", options: [String], wrapper: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> (command: Child, root: pid_t) {
        remove("root.pid")
        let child = try start(
            wrapper + [Host.path(of: "crrestart"), "--copy-status", "--pid-file", file("root.pid")] + options + [file(image)])
        var root: pid_t?
        _ = Clock.wait(seconds: 60) {
            // The newline tells that the number is complete.
            let text = read("root.pid")
            if text.hasSuffix("\n") { root = pid_t(text.dropLast()) }
            return root != nil || child.poll() != nil
        }
        let pid = try #require(
            root, "crrestart gave no root: \(child.poll().map(\.description) ?? "") \(child.errors)",
            sourceLocation: sourceLocation)
        return (child, pid)
    }
}
