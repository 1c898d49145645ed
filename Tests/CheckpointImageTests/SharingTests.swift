import CheckpointImage
import FoundationEssentials
import Testing

/// What an image says of things that threads and processes have together.
@Suite struct SharingTests {
    private func image(_ change: (inout ImageRecords) -> Void = { _ in }) throws -> CheckpointImage {
        var records = Sample.records()
        change(&records)
        return try CheckpointImage(validating: records)
    }

    @Test func whatAProcessHasIsWhatItsFirstThreadHas() throws {
        let image = try image()
        let (shell, child, zombie) = (image.processes[0], image.processes[1], image.processes[2])
        #expect(image.leader(of: child)?.tid == 12 && image.leader(of: zombie) == nil)
        #expect([shell, child, zombie].map(image.spaceID) == [1, 2, 0])
        #expect([shell, child, zombie].map(image.tableID) == [1, 1, 0])
        #expect(image.addressSpace(of: child)?.id == 2 && image.addressSpace(of: zombie) == nil)
        #expect(image.fileTable(of: child)?.id == 1 && image.fileTable(of: zombie) == nil)
        #expect(image.directories(of: child)?.id == 2 && image.directories(of: zombie) == nil)
        #expect(image.actions(of: child).map(\.signal) == [15] && image.actions(of: zombie).isEmpty)
        #expect(image.users(ofSpace: 1).map(\.pid) == [10] && image.user(ofSpace: 2)?.pid == 12 && image.user(ofSpace: 9) == nil)
    }

    /// Memory and descriptors always have their id; of the others only what another process has, too.
    @Test func numbersOfWhatIsShared() throws {
        let alone = try image()
        #expect(alone.processes.map(alone.sharedNumbers) == [[1, 1, 0, 0, 0, 0], [2, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
        let together = try image { records in
            for thing in [\ImageThread.addressSpace, \.directories, \.actions] { records.threads[2][keyPath: thing] = 1 }
            records.threads[2].undo = 5
            records.threads[2].diskContext = 6
        }
        #expect(together.sharedNumbers(of: together.processes[0]) == [1, 1, 1, 1, 0, 0])
        #expect(together.sharedNumbers(of: together.processes[1]) == [1, 1, 1, 1, 5, 6])
        #expect(together.users(ofSpace: 1).map(\.pid) == [10, 12] && together.user(ofSpace: 1)?.pid == 10)
    }

    @Test func thingsOfAThreadsOwn() throws {
        let image = try image { records in
            records.directories.append(Sample.directories(7))
            records.fileTables.append(Sample.table())
            records.fileTables[1].id = 8
            records.threads[1].directories = 7
            records.threads[1].fileTable = 8
        }
        #expect(image.ownDirectories(of: image.threads[1])?.id == 7)
        #expect(image.ownFileTable(of: image.threads[1])?.id == 8)
        for index in [0, 2] {
            #expect(image.ownDirectories(of: image.threads[index]) == nil)
            #expect(image.ownFileTable(of: image.threads[index]) == nil)
        }
        // Another process with the thread's directories would share them, not those of its own.
        #expect(image.sharedNumbers(of: image.processes[0])[2] == 0)
    }

    @Test func highestDescriptor() throws {
        #expect(try image().highestDescriptor == 5)
        #expect(try image { $0.fileTables[0].descriptors[3].number = 90 }.highestDescriptor == 90)
        #expect(try image { $0.openFiles[7].epoll.registrations[0].number = 91 }.highestDescriptor == 91)
    }

    @Test func firstDescriptorOfAFile() throws {
        let image = try image { records in
            var table = Sample.table()
            table.id = 2
            table.descriptors[0].file = 5
            records.fileTables.append(table)
        }
        #expect(image.firstDescriptor(of: 3) ?? (0, 0) == (1, 3))
        #expect(image.firstDescriptor(of: 5) ?? (0, 0) == (2, 0))
        #expect(image.firstDescriptor(of: 6) == nil)
    }
}
