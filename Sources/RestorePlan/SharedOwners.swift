import CheckpointImage
import PidControl

/// Who loads what several processes share, and for whom they have to wait before they do.
///
/// The first of them, in the order of the image, is its *owner*: it maps the memory, opens the descriptors, enters the
/// directories, sets the signal actions. It may begin when all others who have the object at that time are done
/// with what they do while it is still empty: they create children, which get copies of it, and open files. Those
/// others are the members, and those who only carry it for a while: see `SharingPlan`.
struct SharedOwners {
    struct Object: Hashable {
        var kind: CloneObject
        var number: UInt32
    }

    /// Who is born with what, and what is handed on.
    private(set) var owner: [Object: UInt32] = [:]
    private var members: [Object: UInt32] = [:]
    private var carriers: [Object: UInt32] = [:]
    /// By process: which of those who share its file table it is; the owner is number 0.
    private var placeInTable: [UInt32: Int] = [:]
    private var sharedKinds: Set<CloneObject> = []

    init(_ image: CheckpointImage, _ creation: CreationPlan) {
        for process in image.processes where process.state != .zombie {
            let objects = CloneObjectIDs(process.sharedNumbers)
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
        Object(kind: kind, number: CloneObjectIDs(process.sharedNumbers)[kind])
    }

    /// Whether a process loads its own, alone or for others.
    func owns(_ kind: CloneObject, _ process: ImageProcess) -> Bool {
        let object = object(kind, of: process)
        return object.number == 0 || owner[object] == process.pid
    }

    func isShared(_ object: Object) -> Bool { followers(of: object) > 0 }
    /// Members besides the owner.
    func followers(of object: Object) -> UInt32 { object.number == 0 ? 0 : max(1, members[object] ?? 0) - 1 }
    /// For how many the owner has to wait.
    func guests(of object: Object) -> UInt32 { isShared(object) ? followers(of: object) + (carriers[object] ?? 0) : 0 }

    func place(inTableOf process: ImageProcess) -> Int { placeInTable[process.pid] ?? 0 }

    /// Whether any processes share objects of a kind.
    func hasShared(_ kind: CloneObject) -> Bool { sharedKinds.contains(kind) }
}
