import CKernel
import Foundation

/// How a process ended.
enum ExitStatus: Equatable, CustomStringConvertible {
    case exited(Int32)
    case signaled(Int32)

    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7f
        self = signal == 0 ? .exited((waitStatus >> 8) & 0xff) : .signaled(signal)
    }

    var description: String {
        switch self {
        case .exited(let code): "exit status \(code)"
        case .signaled(let number): "signal \(number)"
        }
    }
}

/// What went wrong in the harness itself.
struct HarnessError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A process that a test started, in a session of its own, with its output in files.
final class Child {
    let pid: pid_t
    let arguments: [String]
    private let outputPath: String
    private let errorPath: String
    private var status: ExitStatus?

    /// Starts a program. No descriptor of the test process but the standard three is passed on, and
    /// signal masks and actions are the default ones, so that the tree holds only what it uses.
    init(_ arguments: [String], environment: [String: String], outputPath: String, errorPath: String) throws {
        self.arguments = arguments
        self.outputPath = outputPath
        self.errorPath = errorPath

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let create = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, outputPath, create, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, errorPath, create, 0o644)
        // close_range(3, ~0, CLOSE_RANGE_CLOEXEC)
        _ = ckernel_syscall(Int(SYS_close_range), 3, Int(UInt32.max), 4, 0, 0, 0)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        let newSession: Int32 = 0x80  // POSIX_SPAWN_SETSID
        posix_spawnattr_setflags(
            &attributes, Int16(Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF) | newSession))

        var argv = arguments.map { strdup($0) } + [nil]
        var envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var started: pid_t = 0
        let error = posix_spawnp(&started, arguments[0], &actions, &attributes, &argv, &envp)
        guard error == 0 else { throw HarnessError("cannot start \(arguments[0]): \(String(cString: strerror(error)))") }
        pid = started
    }

    var output: String { (try? String(contentsOfFile: outputPath, encoding: .utf8)) ?? "" }
    var errors: String { (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? "" }

    /// The status if it has ended, and reaps it.
    func poll() -> ExitStatus? {
        if let status { return status }
        var raw: Int32 = 0
        if waitpid(pid, &raw, WNOHANG) == pid { status = ExitStatus(waitStatus: raw) }
        return status
    }

    /// Waits for the end; one that does not come is killed and an error.
    @discardableResult
    func wait(seconds: Double = 60, meanwhile: () -> Void = {}) throws -> ExitStatus {
        let ended = Clock.wait(seconds: seconds) {
            meanwhile()
            return poll() != nil
        }
        if ended, let status { return status }
        end()
        throw HarnessError("\(arguments) did not end in \(seconds) s: \(output)\(errors)")
    }

    func signal(_ number: Int32) {
        if poll() == nil { kill(pid, number) }
    }

    /// Kills and reaps it if it still runs.
    func end() {
        signal(SIGKILL)
        _ = Clock.wait(seconds: 30) { poll() != nil }
    }
}

/// Waits for a condition by testing it again and again.
enum Clock {
    static func wait(seconds: Double, until condition: () throws -> Bool) rethrows -> Bool {
        let end = Date().addingTimeInterval(seconds)
        while true {
            if try condition() { return true }
            if Date() > end { return false }
            usleep(2000)
        }
    }

    static func sleep(_ seconds: Double) { usleep(UInt32(max(0, seconds) * 1_000_000)) }

    static func seconds(of body: () throws -> Void) rethrows -> Double {
        let begin = Date()
        try body()
        return Date().timeIntervalSince(begin)
    }

    /// Seconds of processor time of all children that have ended, and of their children.
    static func processorTimeOfChildren() -> Double {
        var usage = rusage()
        getrusage(RUSAGE_CHILDREN, &usage)
        return [usage.ru_utime, usage.ru_stime].reduce(0) { $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6 }
    }
}
