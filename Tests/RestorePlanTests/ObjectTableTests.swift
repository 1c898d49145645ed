import CheckpointImage
import Foundation
import StepProgram
import Testing

@testable import RestorePlan

/// The table of plans has each kind of open file that the format knows.
@Suite struct ObjectTableTests {
    /// One file of each case of `oneof object`, as the generated code has them: `ImageOpenFile.OneOf_Object`.
    static let objects: [ImageOpenFile.OneOf_Object] = [
        .named(.init()), .nameless(.init()), .pipeEnd(.init()), .device(.init()), .outside(.init()), .event(.init()),
        .signal(.init()), .timer(.init()), .epoll(.init()), .proc(.init()), .inotify(.init()), .pid(.init()), .terminal(.init()),
        .queue(.init()), .fifo(.init()), .unix(.init()), .tcp(.init()), .inet(.init()), .packet(.init()), .netlink(.init()), .external(.init()),
    ]

    static let files: [ImageOpenFile] = objects.enumerated().map { index, object in
        var file = ImageOpenFile()
        file.id = UInt32(index + 1)
        file.object = object
        return file
    }

    /// Messages and names of the cases in file.proto.
    static func kinds() throws -> [(message: String, name: String)] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Protos")
        let text = try String(contentsOf: folder.appendingPathComponent("file.proto"), encoding: .utf8)
        let start = try #require(text.range(of: "oneof object {"))
        let end = try #require(text.range(of: "}", range: start.upperBound..<text.endIndex))
        return text[start.upperBound..<end.lowerBound].split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            return words.count > 3 && words[2] == "=" ? (String(words[0]), String(words[1])) : nil
        }
    }

    @Test func everyKindHasAPlan() throws {
        let kinds = try Self.kinds()
        #expect(kinds.count >= 9)
        // This test has them all, in the order of file.proto.
        #expect(Self.files.compactMap { $0.saved.map { "\(type(of: $0))" } } == kinds.map { "Image" + $0.message })
        for (file, kind) in zip(Self.files, kinds) { #expect(ObjectPlans.plan(of: file) != nil, "\(kind.name)") }
        #expect(ObjectPlans.plan(of: ImageOpenFile()) == nil)
    }

    /// Each has its own, and the table has no other.
    @Test func everyPlanHasItsKind() {
        let plans = Self.files.compactMap { ObjectPlans.plan(of: $0).map { ObjectIdentifier($0) } }
        #expect(Set(plans).count == Self.files.count)
        #expect(Set(plans) == Set(ObjectPlans.all.map { ObjectIdentifier($0) }))
        #expect(ObjectPlans.all.count == Self.files.count)
    }

    /// Only what leads out of the tree is stood in for.
    @Test func standIns() {
        var facts = HostFacts()
        for file in Self.files {
            let isOutside = if case .outside? = file.object { true } else { false }
            #expect((ObjectPlans.standIn(file, for: 7, facts) != nil) == isOutside)
            #expect((ObjectPlans.notice(file) != nil) == isOutside)
        }
        var outside = ImageOpenFile()
        outside.outside.preferred = 1
        outside.outside.description_p = Array("/dev/pts/3\u{1b}".utf8).asData
        // At 0, 1, 2 that one itself, elsewhere the preferred one.
        #expect([0, 1, 2, 7].map { ObjectPlans.standIn(outside, for: $0, facts) } == [0, 1, 2, 1])
        #expect(
            ObjectPlans.notice(outside) == "/dev/pts/3\\e lay outside of the tree: the descriptor 1 of crrestart stands in")
        // The terminal: opened anew where that is possible.
        outside.outside.preferred = 3
        outside.outside.terminal = true
        facts.terminal = 2
        #expect(ObjectPlans.standIn(outside, for: 7, facts) == 2)
        facts.terminalOpensAnew = true
        #expect(ObjectPlans.standIn(outside, for: 7, facts) == nil && ObjectPlans.standIn(outside, for: 1, facts) == nil)
        #expect(ObjectPlans.notice(outside)?.contains("the terminal of crrestart") == true)
    }

    /// A file that only an epoll watches is made, registered and dropped again.
    @Test func filesThatNoTableHoldsAreMade() throws {
        var sample = Sample()
        let event = sample.addFile(.event(.init()), at: [])
        let epoll = sample.addFile(.epoll(.init()), at: [(1, 8)])
        sample.watch(epoll, sample.records.openFiles[event].id, number: 70, events: 1, data: 0)
        let plan = RestorePlan(for: try sample.valid())
        let steps = plan.launchpad.programs[1].steps
        let made = try #require(steps.firstIndex { $0.name == "eventfd2" })
        let control = try #require(steps.firstIndex { $0.name == "epoll_ctl" })
        let drop = try #require(steps.lastIndex { $0.name == "close_range" })
        #expect(made < control && control < drop)
        #expect(steps[control].arguments[2] == 70)
        // It stands at a high number only, and the number of the registration is none of those.
        #expect(plan.high.base == 71)
        let places = steps.filter { $0.name == "dup3" }.compactMap { step -> Int64? in
            if case .equals(let number) = step.check { number } else { nil }
        }
        #expect(places.filter { $0 < Int64(plan.high.base) } == [70, 8])
        #expect(!plan.launchpad.programs[0].steps.contains { $0.name == "eventfd2" })
    }
}
