import CheckpointImage
import Testing

@testable import RestorePlan

/// What is said of files that are found by name.
@Suite struct FileCheckTests {
    private func identity(_ path: String, size: UInt64 = 10, modified: Int64 = 5, mode: UInt32 = 0o100644) -> ImageFileIdentity {
        var identity = ImageFileIdentity()
        identity.path = Array(path.utf8).asData
        identity.size = size
        identity.modified = modified
        identity.mode = mode
        return identity
    }

    private func file(size: UInt64 = 10, modified: Int64 = 5, mode: UInt32 = 0o100644, buildID: [UInt8] = []) -> HostFacts.File {
        HostFacts.File(size: size, modified: modified, mode: mode, buildID: buildID)
    }

    private func request(_ identity: ImageFileIdentity) -> FileRequest {
        FileRequest(identity, .read, FileRights(ImageCredentials()))
    }

    private func findings(
        _ here: Result<HostFacts.File, MissingFile>?, _ check: (FileCheck, inout HostFindings) -> Void
    ) -> [String] {
        var facts = HostFacts()
        facts.files[Array("/f".utf8)] = here
        var findings = HostFindings()
        check(FileCheck(facts), &findings)
        return findings.all.map(\.line)
    }

    @Test func openFilesMayGrow() {
        func open(_ here: HostFacts.File, _ identity: ImageFileIdentity) -> [String] {
            findings(.success(here)) { $0.checkOpen(identity, request(identity), by: "fd 3", &$1) }
        }
        #expect(open(file(), identity("/f")) == [])
        #expect(open(file(size: 11, modified: 6), identity("/f")) == [])
        #expect(
            open(file(size: 9), identity("/f"))
                == ["/f: is shorter than at the checkpoint (9 of 10 bytes), needed by fd 3 (put the old file back; --path /f=FILE names it where it is elsewhere; --files accept takes this one)"])
        // Directories and devices have no size that says something.
        #expect(open(file(size: 0, mode: 0o040755), identity("/f", mode: 0o040700)) == [])
        #expect(open(file(size: 0, mode: 0o020666), identity("/f", mode: 0o020666)) == [])
        #expect(
            open(file(mode: 0o040755), identity("/f"))
                == ["/f: is another kind of file than at the checkpoint, needed by fd 3 (put the old file back, or --path /f=FILE names it where it is elsewhere)"])
        // Where the host was not asked, nothing is known.
        #expect(findings(nil) { $0.checkOpen(identity("/f"), request(identity("/f")), by: "fd 3", &$1) } == [])
    }

    @Test func programsStayAsTheyWere() {
        func mapped(_ here: HostFacts.File, _ change: (inout ImageFileIdentity) -> Void = { _ in }) -> [String] {
            var identity = identity("/f")
            change(&identity)
            return findings(.success(here)) { $0.checkMapped(identity, request(identity), by: "7 sh", &$1) }
        }
        func changed(_ how: String) -> [String] {
            ["/f: has changed since the checkpoint, and 7 sh has it mapped: \(how) (put the old file back; --path /f=FILE names it where it is elsewhere; --files accept takes this one)"]
        }
        let time = changed("it has another time, and nothing tells whether the contents are the same")
        let grown = changed("it has grown (11 bytes, not 10)")
        #expect(mapped(file()) == [])
        #expect(mapped(file(modified: 6)) == time)
        #expect(mapped(file(size: 11)) == grown)
        #expect(mapped(file(size: 9)) == changed("it is shorter (9 of 10 bytes)"))
        // The same build is the same code, wherever it comes from; of another size it is cut short.
        #expect(mapped(file(modified: 6, buildID: [1])) { $0.buildID = [UInt8]([1]).asData } == [])
        #expect(mapped(file(modified: 6, buildID: [2])) { $0.buildID = [UInt8]([1]).asData } == changed("it has other contents"))
        #expect(mapped(file(size: 11, modified: 6, buildID: [1])) { $0.buildID = [UInt8]([1]).asData } == grown)
        #expect(mapped(file(modified: 6)) { $0.buildID = [UInt8]().asData } == time)
    }

    /// `--files accept`: what is there is taken, and told.
    @Test func changedFilesCanBeAccepted() {
        var facts = HostFacts()
        facts.files[Array("/f".utf8)] = .success(file(size: 9, modified: 6))
        var findings = HostFindings()
        var options = FileOptions()
        options.changed = .accept
        let check = FileCheck(facts, options)
        check.checkMapped(identity("/f"), request(identity("/f")), by: "7 sh", &findings)
        check.checkOpen(identity("/f"), request(identity("/f")), by: "fd 3", &findings)
        #expect(findings.all.isEmpty)
        #expect(
            findings.notes.map(\.line) == [
                "/f: has changed since the checkpoint, and 7 sh has it mapped: it is shorter (9 of 10 bytes); it is taken as it is (--files accept)",
                "/f: is shorter than at the checkpoint (9 of 10 bytes), needed by fd 3; it is taken as it is (--files accept)",
            ])
    }

    @Test func whatIsNotHere() {
        func missing(_ errno: String) -> [String] {
            findings(.failure(MissingFile(errno: errno))) { $0.checkOpen(identity("/f"), request(identity("/f")), by: "fd 3", &$1) }
        }
        #expect(missing("ENOENT") == ["/f: ENOENT, needed by fd 3 (the file existed at the checkpoint: put it back, or --path /f=FILE names it where it is elsewhere)"])
        #expect(missing("EACCES")[0].contains("be root, or change its mode"))
        #expect(missing("EROFS")[0].contains("its file system is read-only here"))
    }

    @Test func directories() {
        func directory(_ here: Result<HostFacts.File, MissingFile>) -> [String] {
            findings(here) { $0.checkDirectory(identity("/f"), request(identity("/f")), by: "7 sh", &$1) }
        }
        #expect(directory(.success(file(mode: 0o040755))) == [])
        #expect(directory(.failure(MissingFile(errno: "ENOENT"))) == ["/f: ENOENT, the directory that 7 sh is in (make it again, or --path /f=FILE names it where it is elsewhere)"])
        #expect(directory(.failure(MissingFile(errno: "EACCES")))[0].contains("be root"))
    }

    /// Names are any bytes, and are shown as what they are.
    @Test func namesAreBytes() {
        var facts = HostFacts()
        let name: [UInt8] = [0x2f, 0xff, 0x0a]
        facts.files[name] = .failure(MissingFile(errno: "ENOENT"))
        var identity = identity("/f")
        identity.path = name.asData
        var findings = HostFindings()
        FileCheck(facts).checkOpen(identity, request(identity), by: "fd 3", &findings)
        #expect(findings.all.map(\.object) == ["/\\xff\\n"])
    }

    /// Every place of the image but its open files: programs, mapped files, directories of processes and threads.
    @Test func wholeImage() throws {
        var sample = Sample()
        sample.addThread(110, of: 100)
        sample.addDirectories(7, working: "/away")
        sample.records.threads[1].directories = 7
        sample.records.directories[1].working.path = Array("/tmp".utf8).asData
        sample.records.addressSpaces[0].mappings[0].file.path = Array("/lib".utf8).asData
        for path in ["/away", "/tmp", "/lib"] { sample.missing(path, "ENOENT") }
        #expect(
            try sample.findings() == [
                "/lib: ENOENT, needed by 100 prog (the file existed at the checkpoint: put it back, or --path /lib=FILE names it where it is elsewhere)",
                "/tmp: ENOENT, the directory that 101 prog is in (make it again, or --path /tmp=FILE names it where it is elsewhere)",
                "/away: ENOENT, the directory that thread 110 is in (make it again, or --path /away=FILE names it where it is elsewhere)",
            ])
        // A shared mapping is a view of a file that lives on.
        sample = Sample()
        sample.records.addressSpaces[1].mappings[0].file.path = Array("/data".utf8).asData
        sample.found("/data", file(size: 11, modified: 6))
        #expect(try sample.findings().map { $0.prefix(82) } == ["/data: has changed since the checkpoint, and 101 prog has it mapped: it has grown "])
        sample.records.addressSpaces[1].mappings[0].shared = true
        #expect(try sample.findings() == [])
    }
}

@Suite struct HostFindingsTests {
    @Test func eachOnceInTheOrderInWhichTheyCame() {
        var findings = HostFindings()
        #expect(findings.all.isEmpty)
        findings.find("b", "is gone", help: "put it back")
        findings.find("a", "is gone")
        findings.find("b", "is gone", help: "put it back")
        findings.find("b", "is gone")
        #expect(findings.all.map(\.line) == ["b: is gone (put it back)", "a: is gone", "b: is gone"])
    }
}
