import CheckpointImage
import PidControl

/// Where each open file and pipe is made: by whoever creates all the processes that use it, directly or not, at
/// a high descriptor that they inherit.
struct FilePlan {
    /// Open file id -> the descriptor it stands at while the tree is built.
    private(set) var number: [UInt32: UInt32] = [:]
    /// Process -> ids of open files and pipes that it makes for others, before it forks.
    private(set) var shared: [UInt32: [UInt32]] = [:]
    private(set) var sharedPipes: [UInt32: [UInt32]] = [:]
    /// Process -> ids that only it uses, made when its turn comes.
    private(set) var own: [UInt32: [UInt32]] = [:]
    private(set) var ownPipes: [UInt32: [UInt32]] = [:]
    /// Process -> open files of which it is the first holder: it completes what is left to do for them.
    private(set) var kept: [UInt32: [ImageOpenFile]] = [:]
    /// Pipe -> its open files.
    private(set) var ends: [UInt32: [ImageOpenFile]] = [:]

    /// Above all of them.
    private(set) var firstFree: UInt32 = 0

    /// - Parameter owners: of those who share a table only its owner uses files.
    init(_ image: CheckpointImage, high: RestorePlan.HighDescriptors, _ creation: CreationPlan, _ owners: SharedOwners) {
        // Ends at whom the tool creates: that one created everybody.
        func ancestor(_ first: UInt32, _ second: UInt32) -> UInt32 {
            var first = first
            while !creation.created(first, second), let creator = creation.task(first)?.creator { first = creator }
            return first
        }
        var maker: [UInt32: UInt32] = [:]
        var users: [UInt32: Set<UInt32>] = [:]
        var keeper: [UInt32: UInt32] = [:]
        for process in image.processes where process.state != .zombie && owners.owns(.files, process) {
            for descriptor in image.fileTable(process.fileTable)?.descriptors ?? [] {
                maker[descriptor.file] = maker[descriptor.file].map { ancestor($0, process.pid) } ?? process.pid
                users[descriptor.file, default: []].insert(process.pid)
                if keeper[descriptor.file] == nil, let file = image.openFile(descriptor.file) {
                    keeper[file.id] = process.pid
                    kept[process.pid, default: []].append(file)
                }
            }
        }
        // Who registers with an epoll needs what it watches, even if others hold that alone.
        for epoll in image.openFiles where epoll.kind == .epoll {
            guard let keeper = keeper[epoll.id] else { continue }
            for one in epoll.epoll.registrations {
                maker[one.file] = maker[one.file].map { ancestor($0, keeper) }
                users[one.file]?.insert(keeper)
            }
        }
        var pipeMaker: [UInt32: UInt32] = [:]
        var pipeUsers: [UInt32: Set<UInt32>] = [:]
        for file in image.openFiles where file.kind == .pipeEnd {
            ends[file.pipe, default: []].append(file)
            guard let place = maker[file.id] else { continue }
            pipeMaker[file.pipe] = pipeMaker[file.pipe].map { ancestor($0, place) } ?? place
            pipeUsers[file.pipe, default: []].formUnion(users[file.id] ?? [])
        }
        var next = high.firstObject + UInt32(image.memoryObjects.count)
        for file in image.openFiles {
            if file.kind == .outside { continue }
            guard let place = maker[file.id] else { continue }
            number[file.id] = next
            next += 1
            if file.kind == .pipeEnd { continue }
            if users[file.id] == [place] { own[place, default: []].append(file.id) } else { shared[place, default: []].append(file.id) }
        }
        firstFree = next
        for pipe in image.pipes {
            guard let place = pipeMaker[pipe.id] else { continue }
            if pipeUsers[pipe.id] == [place] {
                ownPipes[place, default: []].append(pipe.id)
            } else {
                sharedPipes[place, default: []].append(pipe.id)
            }
        }
    }
}
