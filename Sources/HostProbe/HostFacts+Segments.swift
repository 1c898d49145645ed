internal import CheckpointImage
internal import Kernel
internal import RestorePlan

extension HostFacts {
    /// System V shared memory here.
    ///
    /// - Parameter tree: what that has attached counts as free.
    mutating func probeSegments(of image: CheckpointImage, endOf tree: LivingTree?) {
        let objects = image.memoryObjects.filter(\.hasSegment)
        if objects.isEmpty { return }
        mayChooseSegmentNumbers = SharedSegments.mayChooseNumber()
        var own: [UInt32: UInt64] = [:]
        if tree != nil {
            let numbers = Dictionary(objects.map { ($0.id, $0.segment.number) }, uniquingKeysWith: { first, _ in first })
            for space in image.addressSpaces {
                for mapping in space.mappings where mapping.kind == .object {
                    if let number = numbers[mapping.object] { own[number, default: 0] += 1 }
                }
            }
        }
        for state in (try? SharedSegmentState.all()) ?? [] {
            let number = UInt32(bitPattern: state.number)
            let attached = state.attached - min(state.attached, own[number] ?? 0)
            // It goes with the tree.
            if tree != nil && state.isRemoved && attached == 0 { continue }
            sharedSegments[number] = SharedSegment(
                key: state.key, size: state.size, attached: attached,
                rights: SemaphoreSet.Rights(
                    owner: state.owner, creator: state.creatorUser, group: state.group, creatorGroup: state.creatorGroup, mode: state.mode))
        }
    }

    /// POSIX message queues, asked for with the rights of those who had them.
    mutating func probeQueues(of image: CheckpointImage) {
        for (rights, requests) in Dictionary(grouping: queueRequests(of: image), by: \.rights) {
            var found: [QueueRequest: QueueAnswer] = [:]
            func look() {
                for request in requests {
                    do throws(SystemError) {
                        let state = try QueueFileState.find(request.name, access: request.access)
                        found[request] = state.map { .found(mostMessages: $0.mostMessages, longestMessage: $0.longestMessage) } ?? .missing
                    } catch { found[request] = .refused(errno: error.name) }
                }
            }
            do throws(SystemError) { try run(look, with: rights) } catch {
                for request in requests { found[request] = .refused(errno: error.name) }
            }
            queues.merge(found) { first, _ in first }
        }
    }
}
