import Foundation

/// Programs and checks for the tests of 32-bit programs.
enum Programs32 {
    /// Why there are no 32-bit programs here, or nil. If a compiler exists but the sources do not compile, the tests fail.
    static let missing: String? = {
        guard case .failure(let error) = workloads, error.description.contains("needs") else { return nil }
        return error.description
    }()

    /// The workloads, built for 32 bits from the same sources. They make the older calls with 32-bit times.
    static let workloads = Result { () throws(HarnessError) -> String in try built("Workloads32", []) }

    /// The same with 64-bit times, which other calls take.
    static let workloadsOf64BitTimes = Result { () throws(HarnessError) -> String in
        try built("Workloads32-time64", ["-D_TIME_BITS=64", "-D_FILE_OFFSET_BITS=64"])
    }

    /// Built once, in the directory of the 64-bit ones, and again when a source is newer.
    private static func built(_ name: String, _ options: [String]) throws(HarnessError) -> String {
        let place = Host.path(of: name)
        let folder = URL(fileURLWithPath: Host.programs).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Workloads").path
        let files = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).map { folder + "/" + $0 }
        if files.allSatisfy({ age(of: $0) < age(of: place) }) && !files.isEmpty && runs(place) { return place }
        let sources = files.filter { $0.hasSuffix(".c") }
        let arguments =
            ["gcc", "-m32", "-O2", "-w", "-D_GNU_SOURCE"] + options + ["-o", place] + sources
            + ["-lpthread", "-lrt", "-lm"]
        guard let scratch = try? Scratch(), let done = try? scratch.run(arguments, seconds: 120) else {
            throw HarnessError("needs gcc")
        }
        if done.status != .exited(0) {
            // Any other error than a missing compiler is an error of the sources, and no reason to skip a test.
            let lacksCompiler = !done.errors.contains(".c:") || done.errors.contains("sys/cdefs.h")
            throw HarnessError(lacksCompiler ? "needs gcc -m32 (Debian: gcc-multilib)" : done.errors)
        }
        guard runs(place) else { throw HarnessError("needs a kernel that runs 32-bit programs") }
        return place
    }

    /// A program of Debian's i386 packages that `scripts/setup --tests` fetched, or why it is not there.
    static let busybox = fetched("busybox")

    private static func fetched(_ name: String) -> String? {
        let place = cache + "/\(name)-i386"
        return runs(place, ["--help"]) ? place : nil
    }

    /// Tasks for those programs; the shell that runs them is a 64-bit one.
    static let tasks: [Program] = {
        var tasks: [Program] = []
        if let busybox {
            tasks.append(
                Program(
                    name: "busybox awk",
                    commands: #"""
                        \#(busybox) awk 'BEGIN {
                          for (i = 1; i <= 3000000; i++) { n[i % 1009] += i % 7919; if (i % 300000 == 0) print i, n[17] }
                          print n[3] }' > out
                        """#))
            tasks.append(
                Program(
                    name: "busybox gzip and md5sum",
                    commands: #"""
                        busybox=\#(busybox)
                        $busybox seq 2000000 | $busybox gzip | $busybox tee copy | $busybox gunzip | $busybox md5sum > out
                        $busybox gunzip -c < copy | $busybox md5sum >> out
                        """#))
            tasks.append(
                Program(
                    name: "busybox sh with sleep and timeout",
                    commands: #"""
                        busybox=\#(busybox) \#(busybox) sh -c '
                          trap "echo end >> out" EXIT
                          for i in $($busybox seq 40); do
                            $busybox sleep 0.05 & $busybox timeout 5 $busybox sleep 0.03; echo $i $? >> out; wait
                          done'
                        """#))
        }
        // Linked dynamically.
        if let dc = fetched("dc") { tasks.append(Program(name: "dc", commands: "\(dc) -e '16000 [d1-d1<F*]dsFx p' > out")) }
        return tasks
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
    private static func runs(_ path: String, _ arguments: [String] = []) -> Bool {
        guard access(path, X_OK) == 0, let scratch = try? Scratch(), let done = try? scratch.run([path] + arguments) else { return false }
        if case .exited(let code) = done.status { return code != 126 && code != 127 }
        return false
    }
}
