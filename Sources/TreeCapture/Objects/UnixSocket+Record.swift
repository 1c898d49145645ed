internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension UnixSocket {
    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        if let refusal = refusal(of: sight, id, recorder) {
            let places = recorder.places[id - 1]
            recorder.find(places, refusal)
            return .found
        }
        var object = ImageUnixSocket()
        object.type = UInt32(truncatingIfNeeded: sight[number: "type"] ?? 0)
        object.address = sight.details["address"]?.bytes.asData ?? [UInt8]().asData
        if let name = name(of: sight) { object.name = name }
        object.shutdown = UInt32(truncatingIfNeeded: sight[number: "shutdown"] ?? 0)
        object.reset = sight.details["reset"] != nil
        if let backlog = sight[number: "backlog"] {
            object.listening = true
            object.backlog = UInt32(truncatingIfNeeded: backlog)
            object.waiting = waiting(sight).compactMap { recorder.sockets[$0] }.map { UInt32($0 + 1) }
        }
        switch sight[number: "peerInode"] {
        case nil: break
        case 0?:
            object.peerGone = !recorder.isWaiting(sight.status.inode)
            object.peerAddress = sight.details["peerAddress"]?.bytes.asData ?? [UInt8]().asData
        case let inode?: object.peer = UInt32((recorder.sockets[inode] ?? -1) + 1)
        }
        if var one = credentials(sight.details["credentials"], recorder) {
            if let number = sight[number: "peerNumber"] { one.process = recorder.numbers.process(UInt32(truncatingIfNeeded: number)) ?? 0 }
            object.peerCredentials = one
        }
        if recorder.isWaiting(sight.status.inode) {
            if var one = credentials(sight.details["connector"], recorder) {
                if one.process == 0, let number = sight[number: "connectorNumber"], number != 0 {
                    one.process = recorder.numbers.process(UInt32(truncatingIfNeeded: number)) ?? 0
                }
                object.connector = one
            }
            while let bytes = sight.details["early\(object.early.count)"] {
                var message = ImageUnixMessage()
                message.bytes = bytes.bytes.asData
                message.files = numbers(sight.details["earlyFiles\(object.early.count)"]).map { UInt32(truncatingIfNeeded: $0) }
                object.early.append(message)
            }
        }
        object.options = options(sight)
        object.queue = queue(of: sight, recorder)
        return .object(.unix(object))
    }

    private static func queue(of sight: OpenFileSight, _ recorder: FileRecorder) -> [ImageUnixMessage] {
        var queue: [ImageUnixMessage] = []
        while let bytes = sight.details["message\(queue.count)"] {
            var message = ImageUnixMessage()
            message.bytes = bytes.bytes.asData
            message.files = numbers(sight.details["files\(queue.count)"]).map { UInt32(truncatingIfNeeded: $0) }
            if let one = sender(queue.count, of: sight, recorder) { message.sender = one }
            message.from = sight.details["from\(queue.count)"]?.bytes.asData ?? [UInt8]().asData
            queue.append(message)
        }
        return queue
    }

    /// Of a message; its process is 0 where that is not in the tree.
    static func sender(_ place: Int, of sight: OpenFileSight, _ recorder: FileRecorder) -> ImageUnixCredentials? {
        guard var one = credentials(sight.details["sender\(place)"], recorder) else { return nil }
        if let number = sight[number: "senderNumber\(place)"] { one.process = recorder.numbers.process(UInt32(truncatingIfNeeded: number)) ?? 0 }
        return one
    }

    static func name(of sight: OpenFileSight) -> ImageUnixName? {
        guard let path = sight.details["file"]?.bytes, let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        func value(_ key: String) -> UInt64 { sight[number: key] ?? 0 }
        var name = ImageUnixName()
        name.directory = Array(path[..<max(slash, 1)]).asData
        name.device = value("fileDevice")
        name.inode = value("fileInode")
        name.mode = UInt32(truncatingIfNeeded: value("fileMode"))
        name.owner = UInt32(truncatingIfNeeded: value("fileOwner"))
        name.group = UInt32(truncatingIfNeeded: value("fileGroup"))
        name.removed = sight.details["fileGone"] != nil
        return name
    }

    private static func credentials(_ text: RawText?, _ recorder: FileRecorder) -> ImageUnixCredentials? {
        let parts = numbers(text)
        guard parts.count == 3 else { return nil }
        var one = ImageUnixCredentials()
        one.process = recorder.numbers.process(HostPid(Int32(truncatingIfNeeded: parts[0]))) ?? 0
        one.user = UInt32(truncatingIfNeeded: parts[1])
        one.group = UInt32(truncatingIfNeeded: parts[2])
        return one
    }

    /// Places of the open files that wait in it.
    static func files(inFlightIn sight: OpenFileSight) -> [Int] {
        var files: [Int] = []
        var index = 0
        while sight.details["message\(index)"] != nil {
            files += numbers(sight.details["files\(index)"]).map { Int($0) }
            index += 1
        }
        return files
    }

    static func waiting(_ sight: OpenFileSight) -> [UInt64] { numbers(sight.details["waiting"]) }

    private static func numbers(_ text: RawText?) -> [UInt64] {
        (text?.bytes ?? []).split(separator: UInt8(ascii: " ")).compactMap { UInt64(String(decoding: $0, as: UTF8.self)) }
    }
}
