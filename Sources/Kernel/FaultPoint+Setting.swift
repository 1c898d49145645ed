internal import CKernel
internal import Glibc
internal import LinuxABI

/// What is set, and what becomes of a passage.
extension FaultPoint {
    package static let variable = "TREERESTORE_FAULT"

    /// The variable holds something that is no fault point.
    package struct InvalidSetting: Error, CustomStringConvertible {
        package let description: String
    }

    /// Reads ``variable``. To be called once, first of all in a command.
    package static func checkEnvironment() throws(InvalidSetting) {
        guard let value = unsafe getenv(variable) else { return }
        // Ended by a zero byte; nothing changes the environment.
        try set(unsafe String(cString: value))
    }

    static func set(_ text: String) throws(InvalidSetting) {
        for (point, passage, error) in try parse(text) { ckernel_fault_set(point.index, passage, error) }
    }

    /// `NAME[:COUNT][=ERRNO]`, separated by commas.
    static func parse(_ text: String) throws(InvalidSetting) -> [(point: FaultPoint, passage: UInt32, error: Int32)] {
        var faults: [(point: FaultPoint, passage: UInt32, error: Int32)] = []
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            func wrong(_ what: String) -> InvalidSetting {
                InvalidSetting(description: "\(variable)=\(printable(Array(text.utf8))): \(what)")
            }
            let sides = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let parts = sides[0].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let point = FaultPoint(rawValue: String(parts[0])) else {
                throw wrong("there is no fault point \"\(printable(Array(parts[0].utf8)))\" (--list-fault-points lists them)")
            }
            var passage: UInt32 = 1
            if parts.count > 1 {
                guard let count = UInt32(parts[1]), count > 0 else {
                    throw wrong("\"\(printable(Array(parts[1].utf8)))\" is no count of passages (from 1 on)")
                }
                passage = count
            }
            var error = Errno.EIO
            if sides.count > 1 {
                if sides[1] == "SIGKILL" {
                    error = death
                } else if let number = ErrnoName.number(of: String(sides[1])) {
                    error = number
                } else {
                    throw wrong("\"\(printable(Array(sides[1].utf8)))\" is no errno (such as EIO)")
                }
            }
            faults.append((point, passage, error))
        }
        return faults
    }

    /// What the hidden option of the commands prints: one name in each line.
    package static var list: String { allCases.map(\.rawValue).joined(separator: "\n") }

    /// Throws where this passage is to fail; otherwise counts it.
    @inline(__always)
    package func pass(_ call: @autoclosure () -> String) throws(SystemError) {
        if ckernel_faults_set() != 0, let error = count() { throw SystemError(error, in: call()) }
    }

    /// In place of an errno: the process kills itself.
    static let death: Int32 = -SIGKILL

    @inline(never)
    private func count() -> Int32? {
        let error = ckernel_fault_pass(index)
        if error == Self.death { _ = ckernel_syscall(Int(SYS_kill), Int(getpid()), Int(SIGKILL), 0, 0, 0, 0) }
        return error == 0 ? nil : error
    }

    /// Only asked for where faults are set.
    private var index: UInt32 { UInt32(Self.allCases.firstIndex(of: self) ?? 0) }
}
