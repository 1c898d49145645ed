internal import ArgumentParser

/// What a restart does about the control groups that the tasks were in.
package enum CgroupChoice: String, CaseIterable, ExpressibleByArgument, Sendable {
    case restore, ignore

    package static var allValueDescriptions: [String: String] {
        [
            restore.rawValue: "Put each task back into the groups it was in; a missing one is refused.",
            ignore.rawValue: "Leave the tree in the groups of crrestart.",
        ]
    }
}
