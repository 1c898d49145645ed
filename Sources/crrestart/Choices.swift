import ArgumentParser
import RestorePlan

extension TimeModel: ExpressibleByArgument {
    package static var allValueDescriptions: [String: String] {
        [
            relative.rawValue: "It does not count: sleeps, timers and the tree's clocks go on where they were.",
            absolute.rawValue: "It counts: deadlines that have passed meanwhile expire at once.",
        ]
    }
}

/// What to do about instructions that the source host offered and this one lacks.
enum CPUStrictness: String, CaseIterable, ExpressibleByArgument {
    case lenient, strict

    static var allValueDescriptions: [String: String] {
        [lenient.rawValue: "Warn.", strict.rawValue: "Refuse, with exit status 3."]
    }
}

extension CgroupRoot: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
