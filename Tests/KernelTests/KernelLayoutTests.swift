import Glibc
import Testing

@testable import Kernel

/// What is kept of the kernel's type description for the next start, and when it is believed.
@Suite struct KernelLayoutTests {
    static let kernel = KernelLayoutText.kernel(
        [0x24, 0x0a, 0xff], descriptionSize: 5_520_359,
        KernelIdentity(system: "Linux", node: "host", release: "6.18.0", version: "#1 SMP", machine: "x86_64"))
    static let answers = ["offset task_struct pid": 2480, "function bpf_iter_task": 64274, "offset restart_block poll.end_time": -1]

    @Test func textHoldsWhatWasLearned() throws {
        let text = KernelLayoutText.encode(Self.answers, Self.kernel)
        #expect(text.starts(with: "TreeRestore kernel layout 1\nkernel 240aff 5520359 6.18.0 #1 SMP\n".utf8))
        #expect(KernelLayoutText.decode(text, Self.kernel) == Self.answers)
        #expect(KernelLayoutText.decode(KernelLayoutText.encode([:], Self.kernel), Self.kernel) == [:])
    }

    @Test func anotherKernelLearnsAnew() {
        let text = KernelLayoutText.encode(Self.answers, Self.kernel)
        let identity = KernelIdentity(system: "Linux", node: "host", release: "6.18.0", version: "#1 SMP", machine: "x86_64")
        var other = identity
        other.version = "#2 SMP"
        for kernel in [
            KernelLayoutText.kernel([0x24, 0x0a, 0xfe], descriptionSize: 5_520_359, identity),
            KernelLayoutText.kernel([0x24, 0x0a], descriptionSize: 5_520_359, identity),
            KernelLayoutText.kernel([0x24, 0x0a, 0xff], descriptionSize: 5_520_360, identity),
            KernelLayoutText.kernel([0x24, 0x0a, 0xff], descriptionSize: 5_520_359, other),
        ] {
            #expect(KernelLayoutText.decode(text, kernel) == nil)
        }
    }

    @Test func damagedTextIsNotBelieved() {
        let text = KernelLayoutText.encode(Self.answers, Self.kernel)
        for place in text.indices {
            var damaged = text
            damaged[place] ^= 1
            #expect(KernelLayoutText.decode(damaged, Self.kernel) == nil, "byte \(place)")
            #expect(KernelLayoutText.decode(Array(text[..<place]), Self.kernel) == nil, "cut at \(place)")
        }
        #expect(KernelLayoutText.decode(text + text, Self.kernel) == nil)
        // Right sums over values that no kernel has.
        for value in [-2, 1 << 24] {
            #expect(KernelLayoutText.decode(KernelLayoutText.encode(["size pt_regs": value], Self.kernel), Self.kernel) == nil)
        }
    }

    @Test func onlyWhatTheUserAloneCanWriteIsTrusted() {
        func status(_ mode: UInt32, owner: UInt32 = 7, links: UInt64 = 1, size: Int64 = 100) -> FileStatus {
            FileStatus(
                device: 1, inode: 2, mode: mode, linkCount: links, owner: owner, group: 0, specialDevice: 0, size: size, modificationTime: 0)
        }
        let (file, directory) = (UInt32(S_IFREG), UInt32(S_IFDIR))
        #expect(KeptFile.isTrusted(status(file | 0o600), .regular, of: 7))
        #expect(KeptFile.isTrusted(status(directory | 0o755, links: 3), .directory, of: 7))
        #expect(!KeptFile.isTrusted(status(file | 0o600, owner: 8), .regular, of: 7))
        #expect(!KeptFile.isTrusted(status(file | 0o600, owner: 7), .regular, of: 0))
        #expect(!KeptFile.isTrusted(status(directory | 0o700, owner: 8), .directory, of: 7))
        #expect(!KeptFile.isTrusted(status(file | 0o620), .regular, of: 7))
        #expect(!KeptFile.isTrusted(status(file | 0o602), .regular, of: 7))
        #expect(!KeptFile.isTrusted(status(directory | 0o777), .directory, of: 7))
        #expect(!KeptFile.isTrusted(status(file | 0o600, links: 2), .regular, of: 7))
        #expect(!KeptFile.isTrusted(status(file | 0o600, size: 1 << 20), .regular, of: 7))
        #expect(!KeptFile.isTrusted(status(UInt32(S_IFIFO) | 0o600), .regular, of: 7))
    }

    private static func newFolder() throws -> String {
        var template = Array("/tmp/kept.XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Over real files: whole, unwritable for others, and no link leads to one.
    @Test func fileIsKeptAndReadAgain() throws {
        let base = try Self.newFolder()
        let file = KeptFile(directory: base + "/made", name: "layout")
        defer {
            for name in ["made/layout", "made/other", "made", ""] { _ = remove(base + "/" + name) }
        }
        #expect(file.read() == nil)
        file.write([1, 2, 3])
        #expect(file.read() == [1, 2, 3])
        file.write([4])
        #expect(file.read() == [4])
        #expect(chmod(base + "/made/layout", 0o666) == 0)
        #expect(file.read() == nil)
        #expect(chmod(base + "/made/layout", 0o600) == 0)
        #expect(chmod(base + "/made", 0o777) == 0)
        #expect(file.read() == nil)
        #expect(chmod(base + "/made", 0o700) == 0)
        #expect(file.read() == [4])
        #expect(rename(base + "/made/layout", base + "/made/other") == 0)
        #expect(symlink("other", base + "/made/layout") == 0)
        #expect(file.read() == nil)
        // The link goes, not what it leads to.
        file.write([5])
        #expect(file.read() == [5])
        #expect(KeptFile(directory: base + "/made", name: "other").read() == [4])
    }

    /// Answers that are kept are the ones that are given, also where no description could be opened.
    @Test func keptAnswersAreGiven() throws {
        let base = try Self.newFolder()
        defer { for name in ["/layout", ""] { _ = remove(base + name) } }
        let file = KeptFile(directory: base, name: "layout")
        file.write(KernelLayoutText.encode(["offset no_such_struct first": 8, "offset no_such_struct second": -1], Self.kernel))
        let layout = KernelLayout(keptIn: file, kernel: Self.kernel)
        #expect(try layout.offset("no_such_struct", "first") == 8)
        #expect(try layout.optionalOffset("no_such_struct", "second") == nil)
        #expect(throws: SystemError.self) { try layout.offset("no_such_struct", "second") }
        let other = KernelLayout(keptIn: file, kernel: Array("kernel 00\n".utf8))
        #expect(throws: SystemError.self) { try other.offset("no_such_struct", "first") }
    }

    /// What holds for one boot is kept for it alone; what could not be learned is asked for again.
    @Test func numbersOfThisBoot() throws {
        let base = try Self.newFolder()
        defer { for name in ["/layout", ""] { _ = remove(base + name) } }
        let file = KeptFile(directory: base, name: "layout")
        file.write(KernelLayoutText.encode(["boot of-old place": 5, "size pt_regs": 168], Self.kernel))
        let first = KernelLayout(keptIn: file, kernel: Self.kernel)
        #expect(first.ofThisBoot("place") { nil } == nil)
        #expect(first.ofThisBoot("place") { 3 } == 3)
        first.keep()
        let second = KernelLayout(keptIn: file, kernel: Self.kernel)
        #expect(second.ofThisBoot("place") { Issue.record("asked again"); return 4 } == 3)
        let kept = try #require(KernelLayoutText.decode(file.read() ?? [], Self.kernel))
        #expect(kept == ["boot \(try bootID()) place": 3, "size pt_regs": 168])
    }

    /// A second layout has nothing to learn, and says the same.
    @Test(.enabled(if: access("/sys/kernel/btf/vmlinux", R_OK) == 0, "this kernel has no type description"))
    func runningKernelIsLearnedOnce() throws {
        let base = try Self.newFolder()
        defer { for name in ["/layout", ""] { _ = remove(base + name) } }
        let file = KeptFile(directory: base, name: "layout")
        let kernel = try #require(KernelLayoutText.runningKernel())
        let first = KernelLayout(keptIn: file, kernel: kernel)
        let learned = try RestartBlockLayout(first)
        #expect(file.read() == nil)
        first.keep()
        let text = try #require(file.read())
        let second = KernelLayout(keptIn: file, kernel: kernel)
        #expect(try RestartBlockLayout(second) == learned)
        second.keep()
        #expect(file.read() == text)
    }

    @Test func capabilitiesDecideBeforeAnythingIsSearched() {
        #expect(RestartBlockProbe.mayLoad(1 << 21))
        #expect(RestartBlockProbe.mayLoad(1 << 38 | 1 << 39))
        #expect(!RestartBlockProbe.mayLoad(1 << 39))
        #expect(!RestartBlockProbe.mayLoad(1 << 38))
        #expect(!RestartBlockProbe.mayLoad(0))
    }
}
