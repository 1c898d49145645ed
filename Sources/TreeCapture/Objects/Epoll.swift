internal import CheckpointImage
internal import Kernel

/// epoll_create(2): registrations, each of an open file under a number.
///
/// Details: `watched0`, `watched1`, ... for each registration that `fdinfo` lists, in order: the place of the open file, or
/// 0 where no descriptor of the tree leads to it; of which one the kernel does not tell: no number, but an errno.
enum Epoll: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.target == "anon_inode:[eventpoll]" }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        for index in sights.indices {
            for (place, one) in try EpollState(sights[index].info.value).registrations.enumerated() {
                do throws(SystemError) {
                    sights[index][number: "watched\(place)"] = UInt64(try watched(one, by: sights[index], tree.sight))
                } catch { sights[index].fail(error) }
            }
        }
    }

    /// The place of the open file behind a registration, 0 where there is none.
    ///
    /// The number says where the program had it when it registered it: the file may stand elsewhere by now, in this
    /// process or another one, and the number may lead to another file.
    private static func watched(
        _ one: EpollState.Registration, by epoll: OpenFileSight, _ tree: TreeSight
    ) throws(SystemError) -> Int {
        func isSame(_ task: HostPid, _ number: Int32) throws(SystemError) -> Bool {
            try compare(
                openFile: number, of: task.rawValue, with: one, ofEpoll: epoll.number, in: epoll.holder.rawValue) == .same
        }
        // Most often it is still where it was.
        if (try? isSame(epoll.holder, one.number)) == true,
            let table = tree.tables.first(where: { $0.holder == epoll.holder }),
            let descriptor = table.descriptors.first(where: { $0.number == one.number })
        {
            return descriptor.file
        }
        for (index, file) in tree.files.enumerated() where try isSame(file.holder, file.number) { return index + 1 }
        return 0
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        let first = recorder.places[id - 1].prefix(1)
        if let failure = sight.failure {
            recorder.find(first, "the epoll cannot be looked into: \(failure.errno)", help: failure.call)
        }
        var object = ImageEpoll()
        for (place, one) in ((try? EpollState(sight.info.value))?.registrations ?? []).enumerated() {
            guard let file = sight[number: "watched\(place)"] else { continue }
            if file == 0 {
                recorder.find(
                    first,
                    "is an epoll that watches a file, once its fd \(one.number), which no process of the tree has open any more",
                    help: "remove it by epoll_ctl(EPOLL_CTL_DEL) before it is closed")
                continue
            }
            var registration = ImageRegistration()
            registration.number = UInt32(one.number)
            registration.file = UInt32(truncatingIfNeeded: file)
            registration.events = one.events
            registration.data = one.data
            object.registrations.append(registration)
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
