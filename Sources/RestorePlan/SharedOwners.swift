import CheckpointImage
import PidControl

/// Decides which process loads an object that several processes share, and how many processes it waits for first.
///
/// The first process with the object, in the order of the image, is its *owner*: it maps the memory, installs the
/// descriptors, enters the directories or sets the signal actions, once for all of them. Until then the object is empty, and
/// other processes that have it create children, which get copies of it, and open files. The owner waits until all
/// of these are done: the other *members*, which keep the object, and *carriers*, which give it up (see `SharingPlan`).
struct SharedOwners {
    struct Object: Hashable {
        var kind: CloneObject
        var number: UInt32
    }

    /// By object: the process that loads it.
    private(set) var owner: [Object: UInt32] = [:]
    private var members: [Object: UInt32] = [:]
    private var carriers: [Object: UInt32] = [:]
    /// By process: its place among the processes that share its file table; the owner has place 0.
    private var placeInTable: [UInt32: Int] = [:]
    private var sharedKinds: Set<CloneObject> = []
    private let numbers: [UInt32: CloneObjectIDs]

    init(_ image: CheckpointImage, _ creation: CreationPlan) {
        numbers = Dictionary(
            image.processes.map { ($0.pid, CloneObjectIDs(image.sharedNumbers(of: $0))) }, uniquingKeysWith: { first, _ in first })
        for process in image.processes where process.state != .zombie {
            let objects = numbers[process.pid] ?? CloneObjectIDs()
            for kind in CloneObject.allCases where objects[kind] != 0 {
                let object = Object(kind: kind, number: objects[kind])
                if owner[object] == nil { owner[object] = process.pid }
                let before = members[object] ?? 0
                if kind == .files { placeInTable[process.pid] = Int(before) }
                members[object] = before + 1
                if before > 0 { sharedKinds.insert(kind) }
            }
        }
        for task in creation.tasks {
            for case .unshare(let objects) in task.actions { carry(objects) }
            carry(task.carriesToItsEnd)
        }
    }

    private mutating func carry(_ objects: CloneObjectIDs) {
        for kind in objects.kinds.kinds { carriers[Object(kind: kind, number: objects[kind]), default: 0] += 1 }
    }

    func object(_ kind: CloneObject, of process: ImageProcess) -> Object {
        Object(kind: kind, number: (numbers[process.pid] ?? CloneObjectIDs())[kind])
    }

    /// Whether a process loads its object of a kind: it is the only process with it, or its owner.
    func owns(_ kind: CloneObject, _ process: ImageProcess) -> Bool {
        let object = object(kind, of: process)
        return object.number == 0 || owner[object] == process.pid
    }

    func isShared(_ object: Object) -> Bool { followers(of: object) > 0 }
    /// The number of members besides the owner.
    func followers(of object: Object) -> UInt32 { object.number == 0 ? 0 : max(1, members[object] ?? 0) - 1 }
    /// The number of processes that the owner waits for.
    func guests(of object: Object) -> UInt32 { isShared(object) ? followers(of: object) + (carriers[object] ?? 0) : 0 }

    func place(inTableOf process: ImageProcess) -> Int { placeInTable[process.pid] ?? 0 }

    /// Whether any processes share objects of a kind.
    func hasShared(_ kind: CloneObject) -> Bool { sharedKinds.contains(kind) }
}
