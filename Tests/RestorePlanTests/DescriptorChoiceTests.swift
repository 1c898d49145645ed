import CheckpointImage
import LinuxABI
import StepProgram
import Testing

@testable import RestorePlan

/// `crrestart --fd`: how it is read, what it replaces, and what the plan makes of it.
@Suite struct DescriptorChoiceTests {
    private static func choice(_ text: String) -> DescriptorChoice? { DescriptorChoice(Array(text.utf8)) }

    @Test(arguments: [
        ("9=null", DescriptorChoice.Target.number(9, process: nil), DescriptorChoice.Source.null),
        ("9=close", .number(9, process: nil), .close),
        ("4711:9=null", .number(9, process: 4711), .null),
        ("0=/tmp/in", .number(0, process: nil), .path(Array("/tmp/in".utf8), appends: false)),
        ("9=append:/tmp/a=b", .number(9, process: nil), .path(Array("/tmp/a=b".utf8), appends: true)),
        ("9=fd:5", .number(9, process: nil), .inherited(5)), ("7:9=fd:0", .number(9, process: 7), .inherited(0)),
        ("5=pipe:[4711]", .identifier("pipe:[4711]"), .inherited(5)),
        ("5=socket:[4711]", .identifier("socket:[4711]"), .inherited(5)),
    ]) func isRead(_ text: String, target: DescriptorChoice.Target, source: DescriptorChoice.Source) throws {
        let choice = try #require(Self.choice(text))
        #expect(choice.target == target && choice.source == source && choice.text == text)
    }

    @Test(arguments: [
        "9", "=null", "9=", "x=null", "-1=null", "9=nul", "9=append:tmp", "9=relative", "1:2:3=null", ":9=null", "0:9=null", "9:=null", "9=fd:", "9=fd:x",
        "9=fd:4294967295", "4711:9=pipe:[1]", "4294967296=null", "9=/a\u{0}b",
    ]) func isRefused(_ text: String) { #expect(Self.choice(text) == nil) }

    /// Bytes that are no text go as they are.
    @Test func pathsAreBytes() {
        #expect(DescriptorChoice(Array("9=/".utf8) + [0xff])?.source == .path([UInt8(ascii: "/"), 0xff], appends: false))
    }

    private static func external(_ name: String) -> ImageOpenFile.OneOf_Object {
        var file = ImageExternalFile()
        file.identifier = Array(name.utf8).asData
        file.description_p = Array("the write end of a pipe".utf8).asData
        return .external(file)
    }

    /// The root has an external pipe at 9 and the child at 9 and 12; the child also has an eventfd at 8.
    private func sample() -> Sample {
        var sample = Sample()
        let event = sample.addFile(.event(.init()), at: [(1, 8)])
        sample.records.openFiles[event].flags = OpenFlag.O_RDWR
        let pipe = sample.addFile(Self.external("pipe:[77]"), at: [(0, 9), (1, 9), (1, 12)])
        sample.records.openFiles[pipe].flags = OpenFlag.O_WRONLY | OpenFlag.O_NONBLOCK
        return sample
    }

    private func chosen(_ texts: [String], _ sample: Sample) throws -> (CheckpointImage, ChosenDescriptors) {
        try ChosenDescriptors.applied(try texts.map { try #require(Self.choice($0)) }, to: try sample.image())
    }

    private func numbers(_ image: CheckpointImage, _ chosen: ChosenDescriptors) -> [[UInt32]] {
        image.fileTables.map { table in table.descriptors.filter { chosen.files[$0.file] != nil }.map(\.number) }
    }

    private func findings(_ texts: [String], _ sample: Sample) throws -> [String] {
        let (image, chosen) = try chosen(texts, sample)
        var options = sample.options
        options.given = chosen
        do throws(ValidImage.Refusal) {
            _ = try ValidImage(image, on: sample.facts, options: options)
            return []
        } catch { return error.findings.map(\.line) }
    }

    /// What was let through is one open file, and what comes in its place is one, too, at all of its descriptors.
    @Test(arguments: ["9=null", "12=null", "5=pipe:[77]"]) func externalFileIsReplacedEverywhere(_ text: String) throws {
        let (image, chosen) = try chosen([text], sample())
        #expect(numbers(image, chosen) == [[9], [9, 12]] && chosen.files.count == 1)
        #expect(chosen.needs == [.init(access: OpenFlag.O_WRONLY, isNonblocking: true)])
        #expect(!image.openFiles.contains { $0.summary(in: image).contains("pipe:[77], external: the") && chosen.files[$0.id] == nil })
        #expect(try findings([text], sample()) == [])
    }

    @Test func oneProcessAlone() throws {
        let sample = sample()
        let pid = sample.records.processes[1].pid
        let (image, chosen) = try chosen(["\(pid):9=null"], sample)
        #expect(numbers(image, chosen) == [[], [9]])
        // The others go on needing something.
        #expect(try findings(["\(pid):9=null"], sample).first?.hasPrefix("pipe:[77]: fd 9 was the write end of a pipe, and nothing is in its place (--fd 9=null, --fd 9=close, ") == true)
    }

    /// A number that nothing external has means every file that has it.
    @Test func fileThatIsNotExternal() throws {
        let (image, chosen) = try chosen(["8=/tmp/x"], sample())
        #expect(numbers(image, chosen) == [[], [8]])
        #expect(!image.openFiles.contains { if case .event? = $0.object { true } else { false } })
        // In another process something else has the number of what was let through: it stays.
        var other = sample()
        other.records.fileTables[0].descriptors.removeAll { $0.number == 9 }
        _ = other.addFile(.event(.init()), at: [(0, 9)])
        let (changed, given) = try self.chosen(["9=null"], other)
        #expect(numbers(changed, given) == [[], [9, 12]])
    }

    @Test func closed() throws {
        let (image, chosen) = try chosen(["9=close"], sample())
        #expect(image.fileTables.allSatisfy { $0.descriptors.allSatisfy { $0.number == 8 || $0.number < 3 } } && chosen.files.isEmpty)
        #expect(try findings(["9=close"], sample()) == [])
    }

    @Test func nothingIsMeant() throws {
        #expect(try chosen(["77=null", "5=pipe:[1]", "99999:9=null"], sample()).1.needs == [nil, nil, nil])
    }

    @Test func nothingIsGiven() throws {
        #expect(
            try findings([], sample()) == [
                "pipe:[77]: fd 9 was the write end of a pipe, and nothing is in its place (--fd 9=null, --fd 9=close, --fd 9=/path, --fd 9=append:/path, or --fd 'M=pipe:[77]' for descriptor M of crrestart)"
            ])
        var sample = sample()
        sample.options.given.isAssumed = true
        _ = RestorePlan(for: try sample.valid())
    }

    /// An epoll forgets what is closed, watches what comes instead, and is not to watch what cannot be watched.
    @Test func whatAnEpollWatches() throws {
        var sample = sample()
        let pipe = try #require(sample.records.openFiles.last?.id)
        let epoll = sample.addFile(.epoll(.init()), at: [(0, 20)])
        sample.watch(epoll, pipe, number: 9, events: 4, data: 1)
        func watched(_ image: CheckpointImage) -> [UInt32] {
            image.openFiles.flatMap { one -> [UInt32] in if case .epoll(let epoll)? = one.object { epoll.registrations.map(\.file) } else { [] } }
        }
        #expect(watched(try chosen(["9=close"], sample).0) == [])
        let (image, given) = try chosen(["9=fd:5"], sample)
        #expect(watched(image) == Array(given.files.keys))
        #expect(try findings(["9=fd:5"], sample) == [])
        #expect(try findings(["9=null"], sample).first?.contains("watches this descriptor, and a file or the null device cannot be watched (--fd 9=close") == true)
    }

    /// One descriptor of crrestart for each choice, inherited by all, made before the root forks.
    @Test func steps() throws {
        var sample = sample()
        let (image, chosen) = try chosen(["9=append:/tmp/log", "8=null"], sample)
        sample.options.given = chosen
        let plan = RestorePlan(for: try ValidImage(image, on: sample.facts, options: sample.options))
        let root = plan.launchpad.programs[0].steps
        let made = try #require(root.firstIndex { $0.note == "--fd 9=append:/tmp/log" })
        #expect(root[made].name == "dup3" && root[made].arguments[0] == .number(plan.high.given(0)))
        #expect(made < (try #require(root.firstIndex { $0.name == "clone3" })))
        let child = plan.launchpad.programs[1].steps
        #expect(child.contains { $0.note == "--fd 8=null" && $0.arguments[0] == .number(plan.high.given(1)) })
        #expect(Set([plan.high.given(0), plan.high.given(1)]).isDisjoint(with: plan.high.others.flatMap { $0 }))
    }

    // MARK: --reconnect

    /// The child has a datagram socket at 7 that was connected with a log daemon.
    private func connected(_ address: [UInt8] = Array("/run/log".utf8), waiting: UInt64 = 0) -> Sample {
        var sample = Sample()
        var file = ImageExternalFile()
        file.identifier = Array("socket:[5]".utf8).asData
        file.connection.type = 2
        file.connection.address = address.asData
        file.connection.shutdown = 1
        file.connection.waiting = waiting
        let index = sample.addFile(.external(file), at: [(1, 7)])
        sample.records.openFiles[index].flags = OpenFlag.O_RDWR | OpenFlag.O_NONBLOCK
        var there = HostFacts.File(size: 0, modified: 0, mode: FileMode.S_IFSOCK | 0o666, buildID: [])
        (there.inode, there.device) = (9, 6)
        sample.facts.files[Array("/run/log".utf8)] = .success(there)
        sample.facts.boundSockets = [9]
        return sample
    }

    private func reconnected(_ sample: Sample, _ name: String = "socket:[5]") throws -> Sample {
        let choice = try #require(DescriptorChoice(reconnecting: Array(name.utf8)))
        var sample = sample
        let (image, chosen) = try ChosenDescriptors.applied([choice], to: try sample.image())
        sample.records.openFiles = image.openFiles
        sample.records.fileTables = image.fileTables
        sample.options.given = chosen
        return sample
    }

    @Test func namesOfSockets() {
        #expect(DescriptorChoice(reconnecting: Array("socket:[5]".utf8))?.option == "--reconnect socket:[5]")
        for text in ["", "7", "pipe:[5]", "/dev/log"] { #expect(DescriptorChoice(reconnecting: Array(text.utf8)) == nil) }
    }

    /// Connected by a process with the number of that which has it, before any process of the tree exists.
    @Test func stepsOfAConnection() throws {
        let sample = try reconnected(connected(waiting: 5))
        let valid = try sample.valid()
        #expect(valid.objectNotices.contains("/run/log is connected anew, without the 5 bytes that it has not received"))
        let plan = RestorePlan(for: valid)
        let root = plan.launchpad.programs[0].steps
        let made = try #require(root.firstIndex { $0.name == "socket" })
        #expect(root[made].arguments[1] == .value(2 | 0o4000 | 0o2000000))
        let substitute = try #require(plan.launchpad.programs.first { $0.title.hasSuffix("for a moment") })
        #expect(substitute.steps.contains { $0.name == "connect" && $0.note == "connects with /run/log again" })
        let closed = try #require(root.firstIndex { $0.name == "shutdown" })
        #expect(closed > made && root[closed].arguments[1] == 0)
        #expect(root.contains { $0.name == "fcntl" && $0.arguments[2] == .number(OpenFlag.O_NONBLOCK) && $0.arguments[0] == root[closed].arguments[0] })
    }

    @Test func peerThatIsNotThere() throws {
        func found(_ change: (inout Sample) -> Void) throws -> String {
            var sample = try reconnected(connected())
            change(&sample)
            return try sample.findings().joined(separator: "; ")
        }
        let path = Array("/run/log".utf8)
        #expect(try found { $0.facts.files[path] = .failure(MissingFile(errno: "ENOENT")) } == "--reconnect socket:[5]: /run/log: ENOENT (start the program that listens there)")
        #expect(try found { $0.facts.boundSockets = [] }.contains("/run/log: ECONNREFUSED"))
        #expect(try found { $0.facts.files[path] = .success(HostFacts.File(size: 0, modified: 0, mode: 0o100666, buildID: [])) }.contains("is not a socket"))
        #expect(try found { _ in } == "")
        var sample = try reconnected(connected([0] + Array("log".utf8)))
        #expect(try sample.findings().contains { $0.contains("@log: ECONNREFUSED") })
        sample.facts.socketNames = [[2] + Array("@log".utf8)]
        #expect(try sample.findings() == [])
        // Of another kind, and not connected anew.
        #expect(try reconnected(self.sample(), "socket:[5]").options.given.needs == [nil])
        #expect(try connected().findings().first?.hasSuffix("; --reconnect 'socket:[5]' connects it with /run/log again)") == true)
    }
}
