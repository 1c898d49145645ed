import CheckpointImage
import LinuxABI
import StepProgram
import Testing

@testable import RestorePlan

/// With whose rights a file is opened by its name, and how it is made sure that it is the file of the checkpoint.
@Suite struct FileOpeningTests {
    /// Root restarts the tree of user 65000, which has /log open.
    private func sample() -> Sample {
        var sample = Sample()
        sample.shareFile()
        sample.facts.ownCredentials.effective = 0x1ff_ffff_ffff
        sample.facts.ownCredentials.permitted = 0x1ff_ffff_ffff
        for index in sample.records.threads.indices {
            sample.records.threads[index].credentials.fileSystemUser = 65000
            sample.records.threads[index].credentials.fileSystemGroup = 65001
            sample.records.threads[index].credentials.groups = [65002]
        }
        sample.records.openFiles[0].named.identity.device = 0x345_0803
        sample.records.openFiles[0].named.identity.inode = 0x1_0000_0007
        return sample
    }

    private func here(device: UInt64, inode: UInt64) -> HostFacts.File {
        var file = HostFacts.File(size: 2000, modified: 0, mode: 0o100644, buildID: [])
        (file.device, file.inode) = (device, inode)
        return file
    }

    private func request(_ sample: Sample) throws -> FileRequest {
        let image = try sample.image()
        return FileHolders(image, sample.facts).request(image.openFiles[0], image.openFiles[0].named.identity)
    }

    /// The steps from the first to the last one about /log, with `around` steps before and behind.
    private func steps(_ sample: Sample, around: Int = 0) throws -> [Step] {
        let all = RestorePlan(for: try sample.valid()).launchpad.programs[0].steps
        let opened = all.indices.filter { all[$0].note == "/log" && all[$0].name.hasPrefix("openat") }
        return Array(all[(try #require(opened.first) - around)...(try #require(opened.last) + around)])
    }

    private func words(_ step: Step, _ argument: Int, _ sample: Sample) throws -> [UInt64] {
        let plan = RestorePlan(for: try sample.valid())
        guard case .value(let address) = step.arguments[argument] else { throw MissingFile(errno: "no value") }
        let data = plan.launchpad.encoded()
        return (0..<3).map { data.littleEndian64(at: Int(address - plan.launchpad.dataStart) + $0 * 8) }
    }

    /// Looked at without any effect, compared, and only then opened.
    @Test func theSameFileIsOpenedByCrrestart() throws {
        var sample = sample()
        sample.found("/log", here(device: 0x345_0803, inode: 0x1_0000_0007))
        let steps = try steps(sample)
        #expect(steps.map(\.name) == ["openat2", "statx", "futex", "futex", "futex", "futex", "dup3", "close", "openat"])
        #expect(try words(steps[0], 2, sample) == [UInt64(OpenFlag.O_PATH | OpenFlag.O_CLOEXEC), 0, 0])
        // Inode, major and minor number of the device.
        #expect(steps[2..<6].map { $0.arguments[5] } == [.value(7), .value(1), .value(0x508), .value(0x3403)])
        #expect(steps[2..<6].allSatisfy { $0.check == .equals(0) })
    }

    @Test func anotherFileIsOpenedByItsUser() throws {
        var sample = sample()
        sample.found("/log", here(device: 0x345_0803, inode: 8))
        let steps = try steps(sample, around: 6)
        #expect(
            steps.map(\.name) == [
                "setgroups", "setfsgid", "setfsgid", "setfsuid", "setfsuid", "capset", "openat2", "setgroups", "setfsgid", "setfsgid",
                "setfsuid", "setfsuid", "capset",
            ])
        #expect(steps[3].arguments == [.value(65000)] && steps[3].check == .equals(0) && steps[4].check == .equals(65000))
        #expect(steps[10].arguments == [.value(0)] && steps[10].check == .equals(65000) && steps[11].check == .equals(0))
        // Without following a link, and without waiting for the other end of a pipe.
        let how = try words(steps[6], 2, sample)
        #expect(how[0] & UInt64(OpenFlag.O_NONBLOCK) != 0 && how[2] == Resolve.RESOLVE_NO_SYMLINKS)
        // Of the capabilities there are only those left that give the others back.
        let kept = try words(steps[5], 1, sample)
        #expect(kept[0] & 0xffff_ffff == FileRights.kept)
    }

    @Test func ordinaryUsersOpenByTheirOwnRights() throws {
        var sample = sample()
        sample.facts.ownCredentials.effective = 0
        #expect(try steps(sample).map(\.name) == ["openat2"])
        #expect(try request(sample).rights == FileRights(sample.facts.ownCredentials))
    }

    @Test func whatTheirUserMayNotOpen() throws {
        var sample = sample()
        sample.found("/log", here(device: 1, inode: 8))
        sample.facts.refusals[try request(sample)] = "EACCES"
        #expect(
            try sample.findings() == [
                "/log: EACCES for user 65000, needed by fd 5; it is another file than at the checkpoint, which crrestart opens with that user's rights only (put the old file back, or let that user open this one)"
            ])
        sample.facts.refusals[try request(sample)] = "ELOOP"
        #expect(try sample.findings()[0].hasPrefix("/log: is reached through a symbolic link, which was not there at the checkpoint, needed by fd 5"))
        // The file itself is found through the link.
        sample.found("/log", here(device: 0x345_0803, inode: 0x1_0000_0007))
        #expect(try sample.findings() == [])
    }

    /// A thread that has exited has no credentials in the image; the holder's are those of a living one.
    @Test func exitedThreadsHaveNoRights() throws {
        var sample = sample()
        sample.addThread(110, of: 100)
        sample.records.threads[0].hasExited_p = true
        sample.records.threads[0].cpu = []
        sample.records.threads[0].credentials = ImageCredentials()
        let rights = FileHolders(try CheckpointImage(validating: sample.records), sample.facts).rights(of: sample.records.openFiles[0])
        #expect(rights.user == 65000)
    }

    /// Files that grew or were written to since: told, never refused.
    @Test func grownFiles() throws {
        var sample = Sample()
        sample.shareFile()
        func notes() throws -> [String] {
            #expect(try sample.findings() == [])
            return try sample.valid().objectNotices
        }
        sample.records.openFiles[0].named.identity.size = 1234
        let grown = "/log: has grown since the checkpoint (2000 bytes, not 1234), and fd 5"
        let told = [grown + " writes to it (--files rollback cuts it off and keeps it beside the file)"]
        #expect(try notes() == told)
        // Written behind the place where the program goes on writing.
        sample.records.openFiles[0].flags = 0o100001
        #expect(
            try notes() == [
                grown
                    + " writes on at byte 1234, over what was added (--files rollback cuts it off and keeps it beside the file; by hand: truncate -s 1234, a copy keeps it)"
            ])
        sample.records.openFiles[0].offset = 1000
        #expect(try notes() == told)
        sample.records.openFiles[0].flags = 0o100000
        #expect(try notes() == [grown + " reads it"])
        sample.records.openFiles[0].named.identity.size = 2000
        sample.records.openFiles[0].named.identity.modified += 1
        #expect(
            try notes() == [
                "/log: has another time than at the checkpoint and as many bytes: its contents may be others; fd 5 goes on with it"
            ])
        sample.records.openFiles[0].named.identity.modified -= 1
        #expect(try notes() == [])
    }

    @Test func removedDirectory() throws {
        var sample = sample()
        sample.records.directories[0].working.path = Array("/a/gone".utf8).asData
        sample.records.directories[0].working.removed = true
        func made() throws -> [Step] {
            let all = RestorePlan(for: try sample.valid()).launchpad.programs[0].steps
            let first = try #require(all.firstIndex { $0.name == "mkdirat" })
            return Array(all[(first - 2)...(first + 3)])
        }
        #expect(try made().map(\.name) == ["umask", "openat2", "mkdirat", "openat2", "fchdir", "unlinkat"])
        func place() throws -> UInt64 { try words(try made()[1], 1, sample)[0] }
        #expect(try place() == [UInt8]("/a".utf8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        let rights = FileHolders(try sample.image(), sample.facts).rights(ofDirectories: 100)
        sample.facts.refusals[RemovedDirectory.request(Array("/a".utf8), rights)] = "ENOENT"
        #expect(try place() == [UInt8]("/tmp".utf8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
}
