internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Character devices that keep nothing between two reads, such as /dev/null, or only a position, are opened again by name.
///
/// Details of a reader of `/dev/kmsg`: `read`, the sequence number of the next message; `unread`, where there are messages.
enum Device: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.status.kind == .characterDevice }

    private static func isMessageReader(_ sight: OpenFileSight) -> Bool {
        sight.status.specialDevice == deviceNumber(major: DeviceMajor.MEM_MAJOR, minor: 11)
            && sight.info.value.openFlags & OpenFlag.O_ACCMODE != OpenFlag.O_WRONLY
    }

    /// The kernel does not tell the position of a reader; but one that has read everything is behind the last message.
    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        for index in sights.indices where isMessageReader(sights[index]) {
            do throws(SystemError) {
                // In this order: what comes between the two, the reader has not read.
                let last = try KernelLog.sequenceNumbers().last
                let isBehind = try KernelLog.hasUnread(of: sights[index].holder.rawValue, descriptor: sights[index].number)
                if isBehind { sights[index].details["unread"] = "1" }
                sights[index][number: "read"] = (last ?? 0) + 1
            } catch { sights[index].fail(error) }
        }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        if sight.status.specialDevice.majorNumber == DeviceMajor.MEM_MAJOR || DeviceKind.isOnlyADoor(sight), sight.isFoundByName,
            let identity = recorder.identity(of: sight)
        {
            var object = ImageDeviceFile()
            object.identity = identity
            if sight.details["unread"] != nil {
                return .refused(
                    "reads kernel messages (\(sight.target.shown)) and has not read all, and the kernel does not tell its position",
                    help: "try again when it has")
            }
            if let failure = sight.failure { return .refused("reads kernel messages, which cannot be looked at: \(failure.errno)", help: failure.call) }
            object.readMessages = sight[number: "read"] ?? 0
            return .object(.device(object))
        }
        let refusal = DeviceKind.refusal(sight)
        return .refused(refusal.reason, help: refusal.help)
    }
}
