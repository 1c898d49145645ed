import LinuxABI
import Testing

@testable import Kernel

struct FaultPointTests {
    @Test func settings() throws {
        let one = try FaultPoint.parse("seize")
        #expect(one.count == 1 && one[0].point == .seize && one[0].passage == 1 && one[0].error == Errno.EIO)
        let more = try FaultPoint.parse("write-image:3=ENOSPC,open=EMFILE,read:2")
        #expect(more.map(\.point) == [.writeImage, .open, .read])
        #expect(more.map(\.passage) == [3, 1, 2])
        #expect(more.map(\.error) == [Errno.ENOSPC, Errno.EMFILE, Errno.EIO])
        #expect(try FaultPoint.parse("detach:2=SIGKILL").map(\.error) == [FaultPoint.death])
    }

    @Test(arguments: [
        ("sieze", #"there is no fault point "sieze""#),
        ("", #"there is no fault point """#),
        ("seize,", #"there is no fault point """#),
        ("seize:0", #""0" is no count"#),
        ("seize:x", #""x" is no count"#),
        ("seize:-1", #""-1" is no count"#),
        ("seize:99999999999", #""99999999999" is no count"#),
        ("seize=EWHAT", #""EWHAT" is no errno"#),
        ("seize=", #""" is no errno"#),
        ("seize=eio", #""eio" is no errno"#),
        ("seize=SIGTERM", #""SIGTERM" is no errno"#),
        ("\u{1b}[1m", #"there is no fault point "\e[1m""#),
    ])
    func nonsense(_ setting: String, _ sentence: String) {
        #expect { try FaultPoint.parse(setting) } throws: { error in
            let text = "\(error)"
            return text.contains(sentence) && text.hasPrefix("TREERESTORE_FAULT=") && !text.contains("\u{1b}")
        }
    }

    @Test func namesAreWellFormed() {
        #expect(FaultPoint.allCases.count <= 256)
        for point in FaultPoint.allCases {
            #expect(point.rawValue.allSatisfy { $0.isLowercase || $0 == "-" || $0.isNumber }, "\(point.rawValue)")
        }
        #expect(FaultPoint.list.split(separator: "\n").count == FaultPoint.allCases.count)
    }

    /// At points that no other test of this process passes. (An exit test would have a process of its own, but its
    /// monitor waits for any child of this one, and other tests keep ended children.)
    @Test func onePassageFails() throws {
        try FaultPoint.set("pidfd-signal:2=EINTR,cgroup-move=EMFILE")
        let outcomes = (0..<4).map { _ in
            do throws(SystemError) {
                try FaultPoint.pidfdSignal.pass("pidfd_send_signal")
                return SystemError?.none
            } catch { return error }
        }
        #expect(outcomes == [nil, SystemError(Errno.EINTR, in: "pidfd_send_signal"), nil, nil])
        #expect(throws: SystemError(Errno.EMFILE, in: "write")) { try FaultPoint.cgroupMove.pass("write") }
        #expect(throws: Never.self) { try FaultPoint.cgroupMove.pass("write") }
        #expect(throws: Never.self) { try FaultPoint.lockLastPid.pass("flock") }
    }
}
