import CheckpointImage
import Testing

@testable import RestorePlan

/// `--files rollback`, and files that the image carries.
@Suite struct FileCutTests {
    private func ends(_ head: UInt32, _ tail: UInt32) -> ImageFileEnds {
        var ends = ImageFileEnds()
        (ends.head, ends.tail) = (head, tail)
        return ends
    }

    /// `/log` has 2000 bytes here, and had 1234.
    private func sample(here: ImageFileEnds?) -> Sample {
        var sample = Sample()
        sample.shareFile()
        sample.records.openFiles[0].named.identity.size = 1234
        sample.records.openFiles[0].named.contents = ends(1, 2)
        var file = HostFacts.File(size: 2000, modified: 0, mode: 0o100644, buildID: [])
        (file.device, file.inode, file.ends) = (5, 6, here)
        sample.found("/log", file)
        sample.options.files.changed = .rollback
        return sample
    }

    @Test func whatOnlyGrewIsCut() throws {
        let valid = try sample(here: ends(1, 2)).valid()
        let cut = try #require(valid.cuts.first)
        #expect(valid.cuts.count == 1 && valid.objectNotices == [])
        #expect(cut.path == Array("/log".utf8) && cut.size == 1234 && (cut.device, cut.inode) == (5, 6))
        #expect(String(decoding: cut.keptPath(0), as: UTF8.self) == "/log.after-checkpoint")
        #expect(String(decoding: cut.keptPath(2), as: UTF8.self) == "/log.after-checkpoint.2")
    }

    @Test func otherContentsAreNot() throws {
        #expect(
            try sample(here: ends(1, 3)).findings() == [
                "/log: has grown since the checkpoint, and its first 1234 bytes are not those of the checkpoint: it is not cut (put the old file back, or --files accept lets fd 5 go on with it)"
            ])
        var unknown = sample(here: nil)
        unknown.records.openFiles[0].named.clearContents()
        #expect(
            try unknown.findings() == [
                "/log: has grown since the checkpoint, and the image does not tell what was in it: it is not cut (cut it by hand: truncate -s 1234, or --files accept lets fd 5 go on with it)"
            ])
    }

    /// Files that are only read, and files that did not grow, are left alone.
    @Test func nothingElseIsCut() throws {
        var read = sample(here: ends(1, 3))
        read.records.openFiles[0].flags = 0o100000
        #expect(try read.valid().cuts == [])
        var same = sample(here: ends(1, 3))
        same.records.openFiles[0].named.identity.size = 2000
        #expect(try same.valid().cuts == [])
        var usual = sample(here: ends(1, 2))
        usual.options.files.changed = .refuse
        #expect(try usual.valid().cuts == [])
    }

    /// A copy takes the place of what is missing or has changed, and of nothing else.
    @Test func carriedFiles() throws {
        var sample = Sample()
        sample.shareFile()
        var object = ImageMemoryObject()
        object.id = 9
        object.size = 4096
        object.unlinkedFile = true
        sample.records.memoryObjects.append(object)
        sample.records.addressSpaces[0].mappings[0].file.copy = 9
        sample.records.processes[0].executable.copy = 9
        sample.records.openFiles[0].named.identity.copy = 9
        func chosen(_ options: FileOptions = FileOptions()) throws -> CheckpointImage {
            try CarriedCopies.chosen(in: CheckpointImage(validating: sample.records), sample.facts, options)
        }
        var image = try chosen()
        #expect(image.addressSpaces[0].mappings[0].kind == .file && image.processes[0].executable.object == 0)
        for path in [sample.records.addressSpaces[0].mappings[0].file.path, sample.records.processes[0].executable.path, Array("/log".utf8).asData] {
            sample.facts.files[path.asBytes] = .failure(MissingFile(errno: "ENOENT"))
        }
        image = try chosen()
        #expect(image.addressSpaces[0].mappings[0].kind == .object && image.addressSpaces[0].mappings[0].object == 9)
        #expect(image.processes[0].executable.object == 9)
        // What is written would be lost.
        #expect(image.openFiles[0].named.identity.copy == 9)
        sample.records.openFiles[0].flags = 0o100000
        #expect(try chosen().openFiles[0].nameless.object == 9)
    }
}
