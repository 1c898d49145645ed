import Foundation
import LinuxABI
import Testing

@testable import Kernel

/// Files without a name: what they have besides their contents, and how they are made anew.
@Suite struct NamelessFileTests {
    private let folder = FileManager.default.temporaryDirectory.path

    private func file() throws -> Descriptor { try NamelessFile.unlinked(like: folder + "/treerestore (deleted)", mode: 0o640) }

    /// What a file system refuses is told by name, and nothing else is lost.
    @Test func attributes() throws {
        let file = try file()
        let wanted = [FileAttribute(name: Array("user.b".utf8), value: []), FileAttribute(name: Array("user.a".utf8), value: Array("\u{0}x".utf8))]
        let lost = NamelessFile.set(wanted, mode: 0o440, on: file.number)
        let found = try FileAttribute.all(of: file).filter { $0.name.starts(with: "user.".utf8) }
        let kept = wanted.filter { !lost.contains($0.name) }.sorted { $0.name.lexicographicallyPrecedes($1.name) }
        #expect(found == kept)
        #expect(try FileStatus(of: file).mode & 0o7777 == 0o440)
        #expect(NamelessFile.set([FileAttribute(name: Array("user.c".utf8), value: [UInt8](repeating: 1, count: 1 << 20))], mode: 0o440, on: file.number).count == 1)
        #expect(FileAttribute.isPrivileged(Array("trusted.a".utf8)) && !FileAttribute.isPrivileged(Array("security.selinux".utf8)))
    }

    @Test func madeAnew() throws {
        let old = try file()
        try NamelessFile.setSize(old.number, 3 << 20)
        let part = [UInt8](repeating: 7, count: 70000)
        try NamelessFile.write(part, to: old.number, at: 1 << 20)
        try NamelessFile.setTimes(old.number, accessed: 5_000_000_007, modified: 6_000_000_008)
        let lost = NamelessFile.set([FileAttribute(name: Array("user.a".utf8), value: [1])], mode: 0o640, on: old.number)
        let new = try NamelessFile.anew(old, like: Array((folder + "/treerestore (deleted)").utf8)) { $0.starts(with: "user.".utf8) }
        guard let new else {
            Issue.record("it was not made in the same file system")
            return
        }
        let (before, after) = (try FileStatus(of: old), try FileStatus(of: new))
        #expect(after.inode != before.inode && after.device == before.device && after.size == before.size && after.mode == before.mode)
        #expect(after.modificationTime == 6_000_000_008)
        #expect(try new.read(upTo: part.count, at: 1 << 20) == part)
        #expect(try new.read(upTo: 4096, at: 0) == [UInt8](repeating: 0, count: 4096))
        #expect(try FileAttribute.all(of: new).contains { $0.name.elementsEqual("user.a".utf8) } == lost.isEmpty)
        let memory = try NamelessFile.memory(named: "treerestore")
        #expect(try NamelessFile.anew(memory, like: Array((folder + "/x").utf8)) { _ in true } == nil, "it went to another file system")
    }
}
