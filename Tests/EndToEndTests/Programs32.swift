import Foundation

/// What the tests of 32-bit programs need besides.
enum Programs32 {
    /// Why there are none here, or nil.
    static let missing: String? = {
        switch workloads {
        case .success: nil
        case .failure(let error): error.description
        }
    }()

    /// The workloads, built for 32 bits from the same sources. Made once, beside the others, and again when a
    /// source is newer.
    static let workloads = Result { () throws(HarnessError) -> String in
        let place = Host.path(of: "Workloads32")
        let folder = URL(fileURLWithPath: Host.programs).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Workloads").path
        let files = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).map { folder + "/" + $0 }
        if files.allSatisfy({ age(of: $0) < age(of: place) }) && !files.isEmpty && runs(place) { return place }
        let sources = files.filter { $0.hasSuffix(".c") }
        let arguments =
            ["gcc", "-m32", "-O2", "-w", "-D_GNU_SOURCE", "-o", place] + sources + ["-lpthread", "-lrt", "-lm"]
        guard let scratch = try? Scratch(), let done = try? scratch.run(arguments, seconds: 120) else {
            throw HarnessError("needs gcc")
        }
        guard done.status == .exited(0) else { throw HarnessError("needs gcc -m32 (Debian: gcc-multilib)") }
        guard runs(place) else { throw HarnessError("needs a kernel that runs 32-bit programs") }
        return place
    }

    /// A program of Debian's i386 packages that `scripts/setup --tests` fetched, or why it is not there.
    static let busybox: String? = {
        let place = cache + "/busybox-i386"
        return runs(place) ? place : nil
    }()

    private static let cache: String = {
        let environment = ProcessInfo.processInfo.environment
        let base = environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "/root") + "/.cache"
        return base + "/treerestore"
    }()

    private static func age(of path: String) -> Date {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        return attributes?[.modificationDate] as? Date ?? .distantPast
    }

    /// Whether it can be started at all.
    private static func runs(_ path: String) -> Bool {
        guard access(path, X_OK) == 0, let scratch = try? Scratch(), let done = try? scratch.run([path]) else { return false }
        if case .exited(let code) = done.status { return code != 126 && code != 127 }
        return false
    }
}
