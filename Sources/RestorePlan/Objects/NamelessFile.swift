import CheckpointImage
import StepProgram

/// Open files without a name. The monitor prepares the memory object before the tree is created.
enum NamelessFilePlan: ObjectPlan {
    static func make(_ bundle: [PlannedFile<ImageNamelessFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle { builder.openObject(&program, file.file, file.state.object, as: file.number) }
    }
}
