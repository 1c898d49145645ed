internal import ArgumentParser

/// What a restart does about the control groups that the tasks were in.
package enum CgroupChoice: String, CaseIterable, ExpressibleByArgument, Sendable {
    case restore, strict, ignore

    package static var allValueDescriptions: [String: String] {
        [
            restore.rawValue: "Put each task back into the groups it was in; where one has been removed, that of crrestart takes its place, and crrestart says so.",
            strict.rawValue: "Put each task back into the groups it was in; a missing one is refused.",
            ignore.rawValue: "Leave the tree in the groups of crrestart.",
        ]
    }
}
