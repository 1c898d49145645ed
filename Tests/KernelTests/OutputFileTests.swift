import Glibc
import LinuxABI
import Testing

@testable import Kernel

/// How an image gets its name, and what it never replaces.
@Suite struct OutputFileTests {
    /// A directory that goes with this value.
    final class Folder {
        let path: String

        init() throws {
            var template = Array("/tmp/treerestore-output-XXXXXX".utf8CString)
            try #require(mkdtemp(&template) != nil)
            path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        }

        deinit {
            for name in names() { unlink(file(name)); rmdir(file(name)) }
            rmdir(path)
        }

        func file(_ name: String) -> String { path + "/" + name }
        func text(_ name: String) -> String { (try? readFile(file(name))).map { String(decoding: $0, as: UTF8.self) } ?? "" }
        func write(_ name: String, _ text: String) throws { try TextFile.write(file(name), text) }
        func names() -> [String] {
            ((try? entryNames(of: path)) ?? []).map { String(decoding: $0, as: UTF8.self) }.filter { $0 != "." && $0 != ".." }.sorted()
        }
    }

    private func output(_ folder: Folder, force: Bool, _ text: String) throws -> OutputFile {
        let made = try OutputFile(path: folder.file("image"), force: force)
        try made.write(Array(text.utf8))
        try made.sync()
        return made
    }

    @Test func onlyRegularFilesAreReplaced() throws {
        let folder = try Folder()
        #expect(mkfifo(folder.file("fifo"), 0o600) == 0 && mkdir(folder.file("directory"), 0o700) == 0)
        try folder.write("target", "precious")
        #expect(symlink("target", folder.file("link")) == 0 && symlink("nothing", folder.file("dangling")) == 0)
        let before = folder.names()
        for (name, sentence) in [
            ("fifo", "named pipe"), ("directory", "directory"), ("link", "symbolic link"), ("dangling", "symbolic link"),
        ] {
            for force in [false, true] {
                #expect {
                    _ = try OutputFile(path: folder.file(name), force: force)
                } throws: { (($0 as? SystemError)?.call ?? "").contains(sentence) }
            }
        }
        #expect { _ = try OutputFile(path: "/dev/null", force: true) } throws: { (($0 as? SystemError)?.call ?? "").contains("device") }
        #expect(folder.text("target") == "precious" && folder.names() == before)
    }

    @Test func replacesWithForceOnly() throws {
        let folder = try Folder()
        try folder.write("image", "old")
        #expect(throws: SystemError.self) { _ = try OutputFile(path: folder.file("image"), force: false) }
        let made = try output(folder, force: true, "new")
        #expect(folder.text("image") == "old")
        try made.commit()
        #expect(folder.text("image") == "new" && folder.names() == ["image"])
    }

    /// Whoever is second has lost nothing: its tree goes on.
    @Test(arguments: [false, true]) func twoAtOnce(isThere: Bool) throws {
        let folder = try Folder()
        if isThere { try folder.write("image", "old") }
        do {
            let first = try output(folder, force: isThere, "first")
            let second = try output(folder, force: true, "second")
            try first.commit()
            #expect { try second.commit() } throws: { ($0 as? SystemError)?.name == "EEXIST" }
        }
        #expect(folder.text("image") == "first" && folder.names() == ["image"])
    }

    @Test func leavesWhatWasWrittenMeanwhile() throws {
        let folder = try Folder()
        try folder.write("image", "old")
        do {
            let made = try output(folder, force: true, "new")
            try folder.write("image", "written by somebody else")
            #expect { try made.commit() } throws: { ($0 as? SystemError)?.name == "EEXIST" }
        }
        #expect(folder.text("image") == "written by somebody else" && folder.names() == ["image"])
    }

    @Test func whatWasReplacedMayBeGone() throws {
        let folder = try Folder()
        try folder.write("image", "old")
        let made = try output(folder, force: true, "new")
        unlink(folder.file("image"))
        try made.commit()
        #expect(folder.text("image") == "new" && folder.names() == ["image"])
    }

    @Test func nothingIsLeftWithoutCommit() throws {
        let folder = try Folder()
        _ = try output(folder, force: false, "new")
        #expect(folder.names().isEmpty)
    }

    @Test func keptBesideABetterOne() throws {
        let folder = try Folder()
        #expect(try output(folder, force: true, "first").commitBeside() == folder.file("image"))
        #expect(try output(folder, force: true, "second").commitBeside() == folder.file("image.refused"))
        #expect(try output(folder, force: true, "third").commitBeside() == folder.file("image.refused"))
        #expect(folder.text("image") == "first" && folder.text("image.refused") == "third")
        #expect(folder.names() == ["image", "image.refused"])
    }

    /// What a killed checkpoint left goes; what belongs to a living process, to another image or is locked stays.
    @Test func leftoversOfTheDeadGo() throws {
        let folder = try Folder()
        let dead = 4_194_303
        for name in [".image.\(dead).5.partial", ".image.\(getpid()).5.partial", ".other.\(dead).5.partial", ".image.x.partial", ".image.\(dead).6.partial"] {
            try folder.write(name, "half")
        }
        let locked = try Descriptor.open(folder.file(".image.\(dead).6.partial"), O_RDWR)
        #expect(FileLock.take(locked.number))
        let made = try output(folder, force: false, "new")
        try made.commit()
        made.removeLeftovers()
        #expect(
            Set(folder.names())
                == ["image", ".image.\(getpid()).5.partial", ".other.\(dead).5.partial", ".image.x.partial", ".image.\(dead).6.partial"])
    }

    @Test func longNamesAreCut() {
        let name = String(repeating: "ä", count: 127)
        #expect(PartialName.new(for: "/d/" + name, in: "/d").split(separator: "/").allSatisfy { $0.utf8.count <= 255 })
    }
}
