internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Tracking of the pages of a tree from one image on: begun while the tree stands still, kept up by a process of its own
/// (``Keeper``) when the image is complete.
///
/// What fails costs tracking, never the checkpoint. If this process dies before the end, tracking ends with it.
final class Tracking {
    /// By id of the space.
    private var descriptors: [Int: Int32] = [:]
    private var taken: Set<Int> = []
    private(set) var refusals: [Int: Refusal] = [:]
    private var spaces: [TrackRecord.Space] = []
    private var handles: ProcessHandles?
    /// Of pages that are tracked.
    private(set) var bytes: UInt64 = 0

    deinit { for number in descriptors.values { DescriptorTable.close(number) } }

    func refuse(_ space: Int, _ refusal: Refusal) {
        if let number = descriptors.removeValue(forKey: space) { DescriptorTable.close(number) }
        if refusals[space] == nil { refusals[space] = refusal }
    }

    /// The helper of a space has ended.
    func requireDescriptor(of space: Int) {
        if descriptors[space] == nil { refuse(space, Refusal("could not be tracked: ETIMEDOUT (its helper ended before)")) }
    }

    /// Called again and again while a task waits for its helper: takes the descriptor once it is there, and ends the helper.
    func takeDescriptor(of space: Int, _ process: ProcessSight, _ program: TrackProgram) {
        let task = process.door.tid.rawValue
        if taken.contains(space) { return }
        guard let ready = RemoteMemory.word(task, at: program.readyAddress), ready != 0,
            let number = RemoteMemory.word(task, at: program.numberAddress), let made = RemoteMemory.word(task, at: program.resultAddress)
        else { return }
        taken.insert(space)
        do throws(SystemError) {
            guard let helper = try MemoryCopy.find(Int32(truncatingIfNeeded: number), inNamespaceOf: task) else { throw SystemError(Errno.ESRCH, in: "find the helper") }
            // Held by descriptor before anything is taken from it: it waits for a second and cannot be another one's number before it is reaped.
            let handle = try ProcessHandle(helper)
            defer { try? handle.send(Signal.SIGKILL) }
            let result = Int64(bitPattern: made)
            if result < 0 { throw SystemError(Int32(clamping: -result), in: "userfaultfd") }
            descriptors[space] = try WriteTracking.take(Int32(clamping: result), of: helper).release()
        } catch { refuse(space, Refusal("could not be tracked: \(error.name) (\(error.call))")) }
    }

    /// Counts from now on which pages are written.
    ///
    /// - Preconditions: the tree stands still, and no keeper tracks it any more.
    func begin(_ sight: TreeSight, _ memory: MemorySight) {
        let pids = Set(descriptors.keys.flatMap { space in sight.processes.filter { $0.space == space }.map(\.pid.rawValue) }).sorted()
        Processes.raiseDescriptorLimit()
        do throws(SystemError) { handles = try ProcessHandles(pids) } catch {
            for space in descriptors.keys { refuse(space, Refusal("could not be tracked: \(error.name) (\(error.call))")) }
        }
        for (space, number) in descriptors.sorted(by: { $0.key < $1.key }) {
            let maps = memory.maps(of: space, in: sight)
            var ranges: [PageRun] = []
            do throws(SystemError) {
                for range in TrackRecord.ranges(in: maps) {
                    try WriteTracking.add(range, to: number)
                    ranges.append(range)
                    bytes += try WriteTracking.begin(range, of: sight[space: space].holder.rawValue)
                }
            } catch { refusals[space] = Refusal("is tracked in part: \(error.name) (\(error.call))") }
            let processes = sight.processes.filter { $0.space == space }.map { TrackRecord.Process($0) }
            spaces.append(TrackRecord.Space(id: UInt32(space), processes: processes, ranges: ranges))
        }
    }

    /// Leaves it to a process that ends with the tree.
    ///
    /// - Returns: why that failed; nil: it did not.
    func keep(identity: [UInt8]) -> Refusal? {
        guard let handles, !spaces.isEmpty else { return nil }
        let record = TrackRecord(identity: identity, spaces: spaces)
        do throws(SystemError) {
            try Keeper.start(record: record.text, holding: Array(descriptors.values), until: handles)
            return nil
        } catch {
            bytes = 0
            return Refusal("could not be tracked: \(error.name) (\(error.call))")
        }
    }

    /// What `--track` says of spaces that it does not track: one sentence for each reason.
    func notices(_ sight: TreeSight) -> [String] {
        SpaceRefusals.sentences(refusals, sight).map { "pages of \($0.whom) will be compared by the next checkpoint: it \($0.reason)" }
    }
}

/// What keepers of this user hold of a tree.
struct KeptTracking: Sendable {
    private let all: [(keeper: Int32, record: TrackRecord)]

    /// Of none.
    init() { all = [] }

    static func look() -> KeptTracking {
        KeptTracking(((try? Keeper.all()) ?? []).compactMap { found in TrackRecord(found.record).map { (found.pid, $0) } })
    }

    private init(_ all: [(keeper: Int32, record: TrackRecord)]) { self.all = all }

    /// What is tracked in the memory of a process, whatever since.
    func ranges(of process: TrackRecord.Process) -> [PageRun] {
        all.flatMap { $0.record.space(of: process)?.ranges ?? [] }.sorted { $0.start < $1.start }
    }

    /// The same since an image, with the id that the space has there.
    func space(of process: TrackRecord.Process, since identity: [UInt8]) -> TrackRecord.Space? {
        all.lazy.filter { $0.record.identity == identity }.compactMap { $0.record.space(of: process) }.first
    }

    /// Ends the keepers of these processes.
    ///
    /// - Returns: how many there were.
    @discardableResult
    func end(of processes: [TrackRecord.Process]) -> Int {
        let found = all.filter { one in processes.contains { one.record.space(of: $0) != nil } }
        for one in found { Keeper.end(one.keeper) }
        return found.count
    }
}
