import CheckpointImage
import StepProgram

/// Devices without a state of their own are opened again by name.
enum DevicePlan: ObjectPlan {
    static func check(_ file: PlannedFile<ImageDeviceFile>, _ host: ObjectHost, _ findings: inout HostFindings) {
        FileCheck(host.facts).checkOpen(file.state.identity, by: host.place(of: file.file), &findings)
    }

    static func make(_ bundle: [PlannedFile<ImageDeviceFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle { builder.openAgain(&program, file.file, file.state.identity, as: file.number) }
    }
}
