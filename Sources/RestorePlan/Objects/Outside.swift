import CheckpointImage
import StepProgram

/// Open files that lead out of the tree. Descriptor 0, 1 or 2 of crrestart replaces them.
enum OutsidePlan: ObjectPlan {
    static func standIn(_ state: ImageOutsideFile, for number: UInt32, _ facts: HostFacts) -> UInt32? {
        if number <= 2 { return number }
        if state.preferred <= 2 { return state.preferred }
        return UInt32(facts.terminals.firstIndex(of: true) ?? 0)
    }

    static func make(_ bundle: [PlannedFile<ImageOutsideFile>], _ program: inout Program, _ builder: inout PlanBuilder) {}

    static func notice(_ state: ImageOutsideFile) -> String? {
        let place = state.preferred <= 2 ? "descriptor \(state.preferred)" : "terminal"
        return "\(state.description_p.asText) lay outside of the tree: the \(place) of crrestart stands in"
    }
}
