import Foundation

/// What the tests need of the host, and how much they do.
enum Host {
    /// Why the tests cannot run here, or nil.
    static let missing: String? = {
        if geteuid() != 0 { return "needs root" }
        if kernelMajor < 6 { return "needs Linux 6 or newer" }
        for tool in ["crcheckpoint", "crrestart", "crimage", "Workloads"] {
            if access(path(of: tool), X_OK) != 0 { return "needs \(path(of: tool))" }
        }
        return nil
    }()

    static func has(_ program: String) -> Bool {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").contains { access("\($0)/\(program)", X_OK) == 0 }
    }

    /// The full path of a built command: beside the test bundle, or in `TREERESTORE_BIN`.
    static func path(of tool: String) -> String { directory + "/" + tool }

    /// How much text the pipeline works on, in MB.
    static let pipelineMegabytes = number("TREERESTORE_TEST_MB", otherwise: 60)

    /// How often each command is killed at a random moment.
    static let kills = number("TREERESTORE_TEST_KILLS", otherwise: 120)

    /// The repository.
    static let root: String = {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        return folder.path
    }()

    /// What a build needs of the environment of the tests: where programs are, and where caches are kept.
    static let ownEnvironment = ProcessInfo.processInfo.environment.filter { ["PATH", "HOME", "XDG_CACHE_HOME"].contains($0.key) }

    /// The folder with the scripts that tests run.
    static let programs = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Programs"

    private static let directory: String = {
        if let given = ProcessInfo.processInfo.environment["TREERESTORE_BIN"] { return given }
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: executable).deletingLastPathComponent().path
    }()

    private static let kernelMajor: Int = {
        let release = (try? ProcessTable.text("/proc/sys/kernel/osrelease")) ?? ""
        return Int(release.prefix { $0.isNumber }) ?? 0
    }()

    private static func number(_ name: String, otherwise: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? otherwise
    }
}
