internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// A pidfd: a descriptor that stands for a process or a thread.
///
/// Detail `command`: of a living process outside of the tree.
enum PidFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool {
        sight.target.bytes.starts(with: "anon_inode:[pidfd]".utf8) || sight.target.bytes.starts(with: "pidfd:".utf8)
    }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        for index in sights.indices {
            guard let number = PidFileState.task(sights[index].info.value), number > 0, let stat = try? ProcessStat(of: number) else { continue }
            sights[index].details["command"] = RawText(stat.comm)
        }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        let close = "close it before the checkpoint"
        guard let number = PidFileState.task(sight.info.value) else {
            return .refused("is a pidfd, and the kernel does not tell of which process", help: close)
        }
        let isOfThread = sight.info.value.openFlags & OpenFlag.O_EXCL != 0
        guard number >= 0 else {
            // One of a thread is opened by number, which an ended one has not.
            if isOfThread { return .refused("is a pidfd of a thread that has ended, which cannot be opened again", help: close) }
            var object = ImagePidFile()
            object.ended = true
            return .object(.pid(object))
        }
        guard number != 0 else {
            return .refused("is a pidfd of a process in another pid namespace, outside of the tree", help: close)
        }
        // Its number is then told by that namespace in which it is opened again.
        guard Set(recorder.sight.processes.map(\.pidNamespace)).count == 1 else {
            return .refused("is a pidfd of process \(number), and the tree has several pid namespaces, which cannot be saved yet", help: close)
        }
        var object = ImagePidFile()
        if isOfThread, let thread = recorder.numbers.thread(HostPid(number)) {
            object.process = thread.process
            object.thread = thread.number
        } else if let process = recorder.numbers.process(HostPid(number)) {
            object.process = process
            if isOfThread { object.thread = process }
        } else {
            return .refused(
                "is a pidfd of process \(number)\(sight.details["command"].map { " " + $0.shown } ?? ""), which is outside of the tree",
                help: "\(close), or checkpoint a tree that holds that process")
        }
        if object.isMadeLast,
            !recorder.places[id - 1].allSatisfy({ recorder.numbers.process($0.process) == object.process && $0.thread == nil })
        {
            return .refused("is a pidfd of thread \(number), which another process or a table of a thread has open, which cannot be saved yet", help: close)
        }
        return .object(.pid(object))
    }

    /// What is made last is not there yet when an epoll is told what to watch.
    static func finish(_ recorder: inout FileRecorder) {
        let last = Set(recorder.records.openFiles.filter { if case .pid(let one)? = $0.object { one.isMadeLast } else { false } }.map(\.id))
        guard !last.isEmpty else { return }
        for file in recorder.records.openFiles {
            guard case .epoll(let epoll)? = file.object, epoll.registrations.contains(where: { last.contains($0.file) }) else { continue }
            recorder.find(
                recorder.places[Int(file.id) - 1].prefix(1), "is an epoll that watches the pidfd of a thread, which cannot be saved yet",
                help: "remove it by epoll_ctl(EPOLL_CTL_DEL) before the checkpoint")
        }
    }
}
