internal import CKernel
internal import Glibc
internal import LinuxABI

/// Another program of this host, run to its end: text in, text out. Both are files in memory, so no order of reading and writing can
/// block either side.
///
/// It starts with no environment, all signals as they are in a new program, and descriptors 0, 1 and 2 only.
package struct ProgramRun: Sendable, Equatable {
    package var status: WaitStatus
    package var output: [UInt8]
    package var errors: [UInt8]

    package var isDone: Bool { status == .exited(0) }

    /// - Errors: those of the calls before the program runs. What it makes of its input is its ``status``; one that could not be started ends
    ///   with 127.
    @inline(never)
    package static func run(_ path: String, _ arguments: [String], input: [UInt8] = []) throws(SystemError) -> ProgramRun {
        let source = try NamelessFile.memory(named: "input")
        try source.write(input)
        _ = ckernel_syscall(Int(SYS_lseek), Int(source.number), 0, Int(SEEK_SET), 0, 0, 0)
        let output = try NamelessFile.memory(named: "output")
        let errors = try NamelessFile.memory(named: "errors")
        // Between clone and execve nothing is allocated.
        let words = unsafe ([path] + arguments).map { unsafe strdup($0) } + [nil]
        defer { for word in unsafe words { unsafe free(word) } }
        let child = try Processes.fork(at: .runProgram)
        if child == 0 { unsafe become(words, [source.number, output.number, errors.number]) }
        let status = end(of: child)
        return ProgramRun(status: status, output: try contents(output), errors: try contents(errors))
    }

    private static func become(_ words: [UnsafeMutablePointer<CChar>?], _ numbers: [Int32]) -> Never {
        for (place, number) in numbers.enumerated() { _ = ckernel_syscall(Int(SYS_dup3), Int(number), place, 0, 0, 0, 0) }
        for number in [SIGPIPE, SIGXFSZ] { _ = signal(number, SIG_DFL) }
        SignalMask.allowAll()
        var none = 0
        // Ended by nil each; this process does nothing else any more.
        unsafe words.withUnsafeBufferPointer { list in
            unsafe withUnsafePointer(to: &none) { nothing in
                _ = unsafe ckernel_syscall(
                    Int(SYS_execve), Int(bitPattern: list[0]), Int(bitPattern: list.baseAddress), Int(bitPattern: nothing), 0, 0, 0)
            }
        }
        Processes.exitNow(127)
    }

    private static func end(of child: Int32) -> WaitStatus {
        while true {
            do throws(SystemError) {
                if let found = try Waiting.wait(child, block: true), found.status.isDead { return found.status }
            } catch { if error.number != EINTR { return .exited(127) } }
        }
    }

    private static func contents(_ file: borrowing Descriptor) throws(SystemError) -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let part = try readBytes(file.number, upTo: 65536, at: UInt64(all.count))
            if part.isEmpty { return all }
            all += part
        }
    }
}
