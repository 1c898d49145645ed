import CheckpointImage
import StepProgram

/// The steps by which a restart makes one kind of open file again.
///
/// Each kind has a file here and a line in ``ObjectPlans/all``; no other code of the plan knows the kind. All of it is pure:
/// the results are findings and steps.
protocol ObjectPlan: SendableMetatype {
    /// The record of the kind.
    associatedtype State: SavedObject

    /// The descriptor of crrestart (0, 1, 2, or 3: its terminal) that replaces the object at the program's descriptor
    /// `number`. Nil: the object is made. The answer is a number for all descriptors of an object or for none.
    static func standIn(_ state: State, for number: UInt32, _ facts: HostFacts) -> UInt32?

    /// Finds what this host lacks for the object.
    static func check(_ file: PlannedFile<State>, _ host: ObjectHost, _ findings: inout HostFindings)

    /// Makes a bundle (one file, or all files that are made together), each file at its high descriptor.
    ///
    /// - Preconditions: the files in its `references` have been made, unless the references make a circle. Low descriptors
    ///   can be in use.
    static func make(_ bundle: [PlannedFile<State>], _ program: inout Program, _ builder: inout PlanBuilder)

    /// Connects the object with the objects that it refers to.
    ///
    /// - Preconditions: these objects are at their high descriptors, and all low descriptors are free.
    static func connect(_ file: PlannedFile<State>, _ program: inout Program, _ builder: inout PlanBuilder)

    /// Starts what depends on time, when the tree's time runs again.
    ///
    /// - Preconditions: the descriptors of the process are where the program had them; `number` is one of this object's.
    static func go(_ file: PlannedFile<State>, at number: UInt32, _ program: inout Program, _ builder: inout PlanBuilder)

    /// What the user should know about the object's restart; nil: nothing.
    static func notice(_ state: State) -> String?
}

extension ObjectPlan {
    static func standIn(_ state: State, for number: UInt32, _ facts: HostFacts) -> UInt32? { nil }
    static func check(_ file: PlannedFile<State>, _ host: ObjectHost, _ findings: inout HostFindings) {}
    static func connect(_ file: PlannedFile<State>, _ program: inout Program, _ builder: inout PlanBuilder) {}
    static func go(_ file: PlannedFile<State>, at number: UInt32, _ program: inout Program, _ builder: inout PlanBuilder) {}
    static func notice(_ state: State) -> String? { nil }
}

/// An open file of a certain kind, and its descriptor while the tree is built.
struct PlannedFile<State: SavedObject> {
    let file: ImageOpenFile
    let state: State
    /// The high descriptor; 0 for a file that crrestart's own descriptor replaces, and while the image is only checked.
    let number: UInt32
}

/// The image and host, as far as the checks of one object need them.
struct ObjectHost {
    let image: CheckpointImage
    let facts: HostFacts
    let holders: FileHolders
    var files = FileOptions()
    var given = ChosenDescriptors()

    /// The first descriptor of a file, in words.
    func place(of file: ImageOpenFile) -> String {
        guard let first = image.firstDescriptor(of: file.id) else { return "open file \(file.id)" }
        return "fd \(first.number)"
    }
}

/// The table of the kinds of open files.
enum ObjectPlans {
    static let all: [any ObjectPlan.Type] = [
        NamedFilePlan.self, NamelessFilePlan.self, PipePlan.self, DevicePlan.self, OutsidePlan.self, EventFilePlan.self,
        SignalFilePlan.self, TimerFilePlan.self, EpollPlan.self, ProcFilePlan.self, InotifyPlan.self, PidFilePlan.self,
        QueueFilePlan.self, TerminalPlan.self, FifoPlan.self, UnixSocketPlan.self, TCPSocketPlan.self, ExternalPlan.self,
        InetSocketPlan.self, PacketSocketPlan.self, NetlinkSocketPlan.self,
    ]

    private static let byState: [ObjectIdentifier: any ObjectPlan.Type] = {
        func key<Plan: ObjectPlan>(_ plan: Plan.Type) -> ObjectIdentifier { ObjectIdentifier(Plan.State.self) }
        return Dictionary(all.map { (key($0), $0) }) { first, _ in first }
    }()

    /// The plan for a file's kind. A reader refuses images with unknown kinds, and a test requires all known ones here.
    static func plan(of file: ImageOpenFile) -> (any ObjectPlan.Type)? {
        file.saved.flatMap { byState[ObjectIdentifier(type(of: $0))] }
    }

    static func standIn(_ file: ImageOpenFile, for number: UInt32, _ facts: HostFacts) -> UInt32? {
        plan(of: file).flatMap { standIn($0, file, number, facts) }
    }

    /// Whether a descriptor of crrestart replaces the file.
    static func stands(_ file: ImageOpenFile, _ facts: HostFacts) -> Bool { standIn(file, for: 0, facts) != nil }

    static func check(_ image: CheckpointImage, _ facts: HostFacts, _ options: RestartOptions, _ findings: inout HostFindings) {
        let host = ObjectHost(image: image, facts: facts, holders: FileHolders(image, facts), files: options.files, given: options.given)
        for file in image.openFiles { if let plan = plan(of: file) { check(plan, file, host, &findings) } }
    }

    static func make(_ bundle: [ImageOpenFile], _ program: inout Program, _ builder: inout PlanBuilder) {
        if let first = bundle.first, let plan = plan(of: first) { make(plan, bundle, &program, &builder) }
    }

    static func connect(_ file: ImageOpenFile, _ program: inout Program, _ builder: inout PlanBuilder) {
        if let plan = plan(of: file) { connect(plan, file, &program, &builder) }
    }

    static func go(_ file: ImageOpenFile, at number: UInt32, _ program: inout Program, _ builder: inout PlanBuilder) {
        if let plan = plan(of: file) { go(plan, file, number, &program, &builder) }
    }

    static func notice(_ file: ImageOpenFile) -> String? { plan(of: file).flatMap { notice($0, file) } }

    // From a file to the plan of its kind: the record is of the type that the plan was looked up by.

    private static func planned<State>(_ file: ImageOpenFile, _ builder: PlanBuilder?) -> PlannedFile<State>? {
        (file.saved as? State).map { PlannedFile(file: file, state: $0, number: builder?.graph.number[file.id] ?? 0) }
    }

    private static func standIn<Plan: ObjectPlan>(
        _ plan: Plan.Type, _ file: ImageOpenFile, _ number: UInt32, _ facts: HostFacts
    ) -> UInt32? {
        (file.saved as? Plan.State).flatMap { plan.standIn($0, for: number, facts) }
    }

    private static func check<Plan: ObjectPlan>(
        _ plan: Plan.Type, _ file: ImageOpenFile, _ host: ObjectHost, _ findings: inout HostFindings
    ) {
        if let file: PlannedFile<Plan.State> = planned(file, nil) { plan.check(file, host, &findings) }
    }

    private static func make<Plan: ObjectPlan>(
        _ plan: Plan.Type, _ bundle: [ImageOpenFile], _ program: inout Program, _ builder: inout PlanBuilder
    ) {
        plan.make(bundle.compactMap { planned($0, builder) }, &program, &builder)
    }

    private static func connect<Plan: ObjectPlan>(
        _ plan: Plan.Type, _ file: ImageOpenFile, _ program: inout Program, _ builder: inout PlanBuilder
    ) {
        if let file: PlannedFile<Plan.State> = planned(file, builder) { plan.connect(file, &program, &builder) }
    }

    private static func go<Plan: ObjectPlan>(
        _ plan: Plan.Type, _ file: ImageOpenFile, _ number: UInt32, _ program: inout Program, _ builder: inout PlanBuilder
    ) {
        if let file: PlannedFile<Plan.State> = planned(file, builder) { plan.go(file, at: number, &program, &builder) }
    }

    private static func notice<Plan: ObjectPlan>(_ plan: Plan.Type, _ file: ImageOpenFile) -> String? {
        (file.saved as? Plan.State).flatMap(plan.notice)
    }
}
