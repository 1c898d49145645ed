internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Files and directories below `/proc/PID`.
///
/// Details: `own`, where it is of the `/proc` that crcheckpoint sees; `command`, of a process there that lives.
enum ProcFile: DescriptorCapture {
    /// What a path below `/proc/PID` says.
    struct Name: Equatable {
        var process: UInt32
        var thread: UInt32?
        /// Below the directory of the process or thread.
        var rest: [UInt8]

        init?(_ path: [UInt8]) {
            var parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { Array($0) }[...]
            guard parts.popFirst() == [], parts.popFirst() == Array("proc".utf8), let number = parts.popFirst().flatMap(Self.number)
            else { return nil }
            process = number
            if parts.first == Array("task".utf8), let tid = parts.dropFirst().first.flatMap(Self.number) {
                thread = tid
                parts = parts.dropFirst(2)
            }
            rest = Array(parts.joined(separator: [UInt8(ascii: "/")]))
        }

        private static func number(_ part: [UInt8]) -> UInt32? {
            part.first.map { (UInt8(ascii: "1")...UInt8(ascii: "9")).contains($0) } == true
                ? UInt32(String(decoding: part, as: UTF8.self)) : nil
        }
    }

    static func claims(_ sight: OpenFileSight) -> Bool {
        // File systems without a block device have the major number 0.
        (sight.status.kind == .regular || sight.status.kind == .directory) && sight.status.device.majorNumber == 0
            && Name(sight.target.bytes) != nil
    }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        let own = try? FileStatus(of: "/proc").device
        for index in sights.indices where sights[index].status.device == own {
            sights[index].details["own"] = "1"
            guard let name = Name(sights[index].target.bytes), let stat = try? ProcessStat(of: Int32(clamping: name.process)) else { continue }
            sights[index].details["command"] = RawText(stat.comm)
        }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        guard let name = Name(sight.target.bytes) else { return UnknownFile.record(sight, id, &recorder) }
        let path = sight.target.shown
        let numbers = recorder.numbers
        let isOwn = sight.details["own"] != nil
        guard isOwn ? !numbers.areNested : numbers.isShown(in: sight.mountNamespace) && !numbers.rootIsInit else {
            return .refused(
                "is \(path), in a /proc of another pid namespace than that of the tree's root or of an init, which cannot be saved yet",
                help: "close it before the checkpoint")
        }
        guard let process = numbers.process(name.process) else {
            guard let command = sight.details["command"] else {
                return .refused("is \(path) of a process that has ended, which cannot be opened again", help: "close it before the checkpoint")
            }
            return .refused(
                "is \(path), of process \(name.process) \(command.shown), which is outside of the tree",
                help: "close it before the checkpoint, or checkpoint a tree that holds that process")
        }
        guard ImageProcFile.canBeOpened(name.rest), sight.isFoundByName else {
            return .refused("is \(path), which cannot be opened again before its process runs", help: "close it before the checkpoint")
        }
        if ImageProcFile.isIdentityMap(name.rest), sight.info.value.openFlags & OpenFlag.O_ACCMODE != OpenFlag.O_RDONLY {
            return .refused("is \(path), open for writing: the right to write it is that of the process that opened it", help: "close it")
        }
        var object = ImageProcFile()
        object.process = process
        if let thread = name.thread {
            guard let number = numbers.thread(thread, of: process) else {
                return .refused("is \(path) of a thread that has ended", help: "close it before the checkpoint")
            }
            object.thread = number
        }
        object.name = name.rest.asData
        if object.isMadeLast, !recorder.places[id - 1].allSatisfy({ numbers.process($0.process) == process && $0.thread == nil }) {
            return .refused("is \(path), which another process or a table of a thread has open", help: "close it before the checkpoint")
        }
        return .object(.proc(object))
    }
}
