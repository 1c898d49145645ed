internal import CheckpointImage
internal import Kernel

/// epoll_create(2): registrations, each of an open file under a number.
///
/// Details: `watched0`, `watched1`, ... for each registration that `fdinfo` lists, in order: the place of the open file, or
/// 0 where no descriptor of the tree leads to it; of which one the kernel does not tell: no number, but an errno.
enum Epoll: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.target == "anon_inode:[eventpoll]" }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        var watched = WatchedFiles(tree.sight)
        for index in sights.indices {
            for (place, one) in try EpollState(sights[index].info.value).registrations.enumerated() {
                do throws(SystemError) {
                    sights[index][number: "watched\(place)"] = UInt64(try watched.file(of: one, in: sights[index]))
                } catch { sights[index].fail(error) }
            }
        }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        let first = recorder.places[id - 1].prefix(1)
        if let failure = sight.failure {
            recorder.find(first, "the epoll cannot be looked into: \(failure.errno)", help: failure.call)
        }
        var object = ImageEpoll()
        var dead: [Int32] = []
        for (place, one) in ((try? EpollState(sight.info.value))?.registrations ?? []).enumerated() {
            guard let file = sight[number: "watched\(place)"] else { continue }
            if file == 0 {
                dead.append(one.number)
                continue
            }
            var registration = ImageRegistration()
            registration.number = UInt32(one.number)
            registration.file = UInt32(truncatingIfNeeded: file)
            registration.events = one.events
            registration.data = one.data
            object.registrations.append(registration)
        }
        if let number = dead.first {
            let others = dead.count == 1 ? "" : " (and \(dead.count - 1) other\(dead.count == 2 ? "" : "s"))"
            recorder.find(
                first, "is an epoll that watches a file, once its fd \(number), which no process of the tree has open any more\(others)",
                help: "remove it by epoll_ctl(EPOLL_CTL_DEL) before it is closed")
        }
        return .object(.epoll(object))
    }

    /// Files that cannot be saved have findings of their own: their registrations go.
    static func finish(_ recorder: inout FileRecorder) {
        let saved = Set(recorder.records.openFiles.map(\.id))
        for index in recorder.records.openFiles.indices {
            guard case .epoll(var object)? = recorder.records.openFiles[index].object else { continue }
            object.registrations.removeAll { !saved.contains($0.file) }
            recorder.records.openFiles[index].object = .epoll(object)
        }
    }
}
