internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Character devices that keep nothing between two reads, such as /dev/null, are opened again by name.
enum Device: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.status.kind == .characterDevice }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        if sight.status.specialDevice.majorNumber == DeviceMajor.MEM_MAJOR, sight.isFoundByName,
            let identity = recorder.identity(of: sight)
        {
            var object = ImageDeviceFile()
            object.identity = identity
            return .object(.device(object))
        }
        if sight.status.isTerminalMaster {
            return .refused("is the master of a pseudo-terminal, which cannot be saved yet")
        }
        return .refused("is the device \(sight.target.shown), which cannot be saved")
    }
}
