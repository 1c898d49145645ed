import ArgumentParser
import RestorePlan

extension HugePageUse: ExpressibleByArgument {
    package static var allValueDescriptions: [String: String] {
        [
            never.rawValue: "Memory gets them as the host gives them to every program.",
            auto.rawValue: "Where the host offers them, but not in a virtual machine that gives free memory back to its host: there they take longer.",
            always.rawValue: "Where the host offers them.",
        ]
    }
}

/// The option about the size of the pages into which memory is loaded.
struct HugePageArguments: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Whether memory is loaded into huge pages where all of one was saved and the program has not advised against them: fewer page faults, so it takes less time.",
            valueName: "MODE"))
    var hugePages = HugePageUse.auto
}
